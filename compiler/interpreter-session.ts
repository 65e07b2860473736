import { DeviceError, type Numbers, type Session, type StepScalars } from '../bundle/device.ts'
import type { Plan } from '../bundle/format.ts'
import { placesAt } from '../bundle/layout.ts'
import type { Equation } from './ir/equation.ts'
import { compileEquation, type CompiledEquation } from './targets/interpreter/evaluate.ts'

/** A net in float64: every buffer of the plan an array, every dispatch its equation. */
export class InterpreterSession implements Session {
  readonly plan: Plan
  readonly batch: number
  readonly allocatedBytes: number
  private readonly buffers: Float64Array[]
  private readonly offsets: readonly number[]
  private readonly equations: ReadonlyMap<string, readonly Equation[]>
  private readonly compiled = new Map<Equation, CompiledEquation>()

  constructor(plan: Plan, equations: ReadonlyMap<string, readonly Equation[]>, batch: number) {
    this.plan = plan
    this.batch = batch
    this.equations = equations
    const { offsets, sizes } = placesAt(plan, batch)
    this.offsets = offsets
    this.buffers = plan.buffers.map((b, i) => {
      const data = numbers(sizes[i]!, batch, sizes)
      let at = 0
      for (const { times, values } of b.data ?? []) for (let i = 0; i < times; i++, at += values.length) data.set(values, at)
      return data
    })
    this.allocatedBytes = this.buffers.reduce((total, b) => total + b.byteLength, 0)
  }

  write(tensor: number, data: Numbers): void {
    this.view(tensor).set(data)
  }

  async run(program: string, scalars: StepScalars): Promise<void> {
    this.equations.get(program)!.forEach((_, i) => this.dispatch(program, i, scalars))
  }

  async trace(program: string, scalars: StepScalars, done: (dispatch: number) => Promise<boolean>): Promise<void> {
    for (const i of this.equations.get(program)!.keys()) {
      this.dispatch(program, i, scalars)
      if (await done(i)) return
    }
  }

  private dispatch(program: string, i: number, scalars: StepScalars): void {
    const equation = this.equations.get(program)![i]!
    const compiled = this.compiled.get(equation) ?? compileEquation(equation)
    this.compiled.set(equation, compiled)
    compiled.run(this.plan.programs[program]!.dispatches[i]!.tensors.map((t) => this.view(t)), { ...scalars, batch: this.batch })
  }

  async read(tensors: readonly number[]): Promise<Numbers[]> {
    return tensors.map((t) => this.view(t).slice())
  }

  close(): void {
    this.buffers.length = 0
  }

  private view(index: number): Float64Array {
    const t = this.plan.tensors[index]!
    const count = t.shape.reduce<number>((product, dim) => product * (dim === 'n' ? this.batch : dim), 1)
    return this.buffers[t.buffer]!.subarray(this.offsets[index]!, this.offsets[index]! + count)
  }
}

/** Throws DeviceError where there is no memory for so many. */
function numbers(count: number, batch: number, sizes: readonly number[]): Float64Array {
  try {
    return new Float64Array(count)
  } catch {
    const gib = (8 * sizes.reduce((a, b) => a + b, 0)) / 2 ** 30
    throw new DeviceError(`at batch ${batch} the interpreter takes ${gib.toPrecision(3)} GiB, more than there is: use a smaller batch`)
  }
}
