import type { Numbers, Session, StepScalars } from '../bundle/device.ts'
import { type Bundle, FORMAT, FORMAT_VERSION } from '../bundle/format.ts'
import { stream } from '../runtime/random.ts'
import { elementCount } from '../bundle/sizes.ts'
import type { Constant } from '../compiler/graph/graph.ts'
import { type Equation, type SideReduction, writes } from '../compiler/ir/equation.ts'
import { buildPlan } from '../compiler/plan/layout.ts'
import type { Schedules, Target } from '../compiler/targets/target.ts'
import type { Tensor } from '../compiler/ir/tensor.ts'

/** The facts about a net that its kernels share, and that a benchmark of one kernel needs. */
export interface BenchmarkContext {
  readonly target: Target
  readonly batch: number
  /** The batch that the net trains with; 1 where it only infers. A target may choose by it. */
  readonly trainBatch: number
  /** Elements of the buffers that parameters and statistics are packed into: a kernel that updates them binds them whole. */
  readonly packed: { readonly parameters: number; readonly states: number }
  readonly constants: ReadonlyMap<string, Constant>
}

/** The programs of a bundle of one kernel: it once, and many times in a row. */
export const ONCE = 'infer'
export const OFTEN = 'eval'

/** A bundle of nothing but one kernel and tensors of the sizes that it has in its net. */
export function oneKernel(
  equation: Equation,
  schedules: Schedules,
  { target, batch, trainBatch, packed, constants }: BenchmarkContext,
  times: number,
): { bundle: Bundle; tensors: readonly Tensor[] } {
  const { print, link } = target.printer(trainBatch, schedules)
  const kernel = print(equation)
  const step = { fused: { equation, why: [] }, kernel }
  const graph = { name: equation.name, inputs: [], parameters: [], nodes: [], outputs: [] }
  const { plan, files } = buildPlan({
    target: target.name,
    extension: target.extension,
    sharesBuffers: target.sharesBuffers,
    packed,
    constants,
    batch,
    ...(link && { link }),
    programs: [{ name: ONCE, graph, viewOf: new Map(), steps: [step] }, {
      name: OFTEN,
      graph,
      viewOf: new Map(),
      steps: Array.from({ length: times }, () => step),
    }],
  })
  const manifest = {
    format: FORMAT,
    version: FORMAT_VERSION,
    name: equation.name,
    style: 'merged',
    source: { files: [], sha256: '' },
    inputs: [],
    outputs: [],
    parameters: [],
    plans: { [target.name]: plan },
  } as const
  return { bundle: { manifest, files }, tensors: kernel.bindings.map((b) => b.tensor) }
}

const SCALARS: StepScalars = { step: 0, seed: 1, rate: 0.01, correction1: 1, correction2: 1 }

/** A kernel alone on a device: its results on synthetic numbers, and its time. */
export class OneKernel {
  readonly session: Session
  readonly #equation: Equation
  readonly #tensors: readonly Tensor[]
  readonly #times: number

  constructor(session: Session, equation: Equation, tensors: readonly Tensor[], times: number) {
    this.session = session
    this.#equation = equation
    this.#tensors = tensors
    this.#times = times
  }

  /** Index into the plan's tensors: those of the first dispatch, in the order of its bindings. */
  #place(tensor: Tensor): number {
    return this.session.plan.programs[ONCE]!.dispatches[0]!.tensors[this.#tensors.indexOf(tensor)]!
  }

  /**
   * Results by a name for each store, from numbers that depend on the place of a binding alone. `positive`: only such, where
   * roots and logarithms want them. Blocks of statistics are put together: what each is measured from is a schedule's own affair.
   */
  async results(positive: boolean): Promise<Record<string, ArrayLike<number>>> {
    const { batch } = this.session
    const sides = new Map(this.#equation.sides.map((side) => [side.partials, side]))
    for (const [i, t] of this.#tensors.entries()) {
      if (sides.has(t)) continue
      this.session.write(this.#place(t), synthetic(t, elementCount(t.shape, batch), i, positive))
    }
    await this.session.run(ONCE, SCALARS)
    const written = writes(this.#equation)
    const values = await this.session.read(written.map((t) => this.#place(t)))
    return Object.fromEntries(written.flatMap((t, i): [string, ArrayLike<number>][] => {
      const side = sides.get(t)
      return side ? totals(side, values[i]!).map((total, k) => [`statistics ${i}, ${k}`, total]) : [[`store ${i}`, values[i]!]]
    }))
  }

  /**
   * Milliseconds of one run: the shortest of many in a row where the device tells, else their mean, over as many rows as take `atLeastMs` together. A row of a
   * kernel of some microseconds is shorter than what a system takes from it now and then.
   */
  async time(atLeastMs = 0): Promise<number> {
    const profile = await this.session.profile?.(OFTEN, SCALARS)
    if (profile) return Math.min(...profile) / 1e6
    const [first] = this.session.plan.programs[ONCE]!.dispatches[0]!.tensors
    await this.session.read([first!])
    const start = performance.now()
    for (let rows = 1;; rows++) {
      await this.session.run(OFTEN, SCALARS)
      await this.session.read([first!])
      const ms = performance.now() - start
      if (ms >= atLeastMs) return ms / (rows * this.#times)
    }
  }
}

/** Labels of ten classes, normal numbers else. */
function synthetic(t: Tensor, length: number, place: number, positive: boolean): Numbers {
  const random = stream(1, `binding ${place}`)
  // Drawing is slower than a kernel: the numbers come again after a prime number of them.
  const drawn = Float32Array.from({ length: Math.min(length, 65_521) }, (_, i) => (positive ? 0.5 + random.uniform(i) : random.gaussian(i)))
  if (t.type === 'i32') return Int32Array.from({ length }, (_, i) => Math.floor(Math.abs(drawn[i % drawn.length]!) * 10) % 10)
  return Float32Array.from({ length }, (_, i) => drawn[i % drawn.length]!)
}

/**
 * The totals of partial statistics [..., kept, blocks], one for each point of the kept axes. Moments: mean and M2 by Chan's rule; sums:
 * their sums.
 */
function totals(side: SideReduction, data: Numbers): Float64Array[] {
  const [kept, count] = side.partials.shape.slice(-2) as [number, number]
  const blocks = data.length / (kept * count)
  const at = (block: number, c: number, k: number): number => data[(block * kept + c) * count + k]!
  const points = Array.from({ length: kept }, (_, c) => c)
  if (side.kind === 'sums') {
    return Array.from({ length: count }, (_, k) =>
      Float64Array.from(points, (c) => {
        let sum = 0
        for (let b = 0; b < blocks; b++) sum += at(b, c, k)
        return sum
      }))
  }
  const mean = new Float64Array(kept)
  const squares = new Float64Array(kept)
  for (const c of points) {
    let n = 0
    for (let b = 0; b < blocks; b++) {
      const own = at(b, c, 3)
      if (own === 0) continue
      const d = at(b, c, 0) + at(b, c, 1) - mean[c]!
      squares[c]! += at(b, c, 2) + (d * d * n * own) / (n + own)
      mean[c]! += (d * own) / (n + own)
      n += own
    }
  }
  return [mean, squares]
}
