import { invariant } from '../../invariant.ts'
import type { Axis } from '../../ir/affine.ts'
import { channelCount, type Equation, reads, type SideMoments, type Store, writes } from '../../ir/equation.ts'
import { randomUniform } from './random.ts'
import { sumsEquation } from '../../ir/side-sums.ts'
import { elementsPerSample, isBatched, strides, type Tensor } from '../../ir/tensor.ts'
import { onceForAll } from '../../compile-cache.ts'
import { erf } from './erf.ts'
import { LoopPrinter } from './print-loops.ts'

export type Numbers = Float64Array | Float32Array | Int32Array

export interface Scalars {
  readonly batch: number
  readonly step?: number
  readonly seed?: number
  readonly rate?: number
  readonly correction1?: number
  readonly correction2?: number
}

/** Elements of a tensor at a batch size. */
export const elementCount = (t: Tensor, batch: number): number => elementsPerSample(t.shape) * (isBatched(t.shape) ? batch : 1)

/**
 * Runs an equation in float64, point by point, exactly as it is written: no schedule, no tiles. The reference that every
 * other target is compared with. Tensors that are written and not in `storage` are added to it. `compiled`: the equation's, where it runs often.
 */
export function evaluateEquation(
  equation: Equation,
  storage: Map<Tensor, Numbers>,
  scalars: Scalars,
  { tensors, run }: CompiledEquation = compileEquation(equation),
): void {
  for (const t of writes(equation)) {
    if (!storage.has(t)) storage.set(t, new Float64Array(elementCount(t, scalars.batch)))
  }
  run(
    tensors.map((t) => {
      const data = storage.get(t)
      invariant(data, `${equation.name} reads ${t.name}, which nothing has written`)
      return data
    }),
    scalars,
  )
}

export interface CompiledEquation {
  /** The tensors in the order in which `run` wants their storage. */
  readonly tensors: readonly Tensor[]
  readonly run: (data: readonly Numbers[], scalars: Scalars) => void
}

type Loops = (data: readonly Numbers[], scalars: Scalars, random: typeof randomUniform, erf: (x: number) => number) => void

/** The function of a text, which keeps no state. Remembered: one that ran before is optimized already. */
const loopsOf = (text: string): Loops =>
  onceForAll('loops', text, () => new Function('T', 's', 'random', 'erf', text) as Loops, () => 2 * text.length)

/** Prints an equation as a JavaScript loop nest. The text comes from the compiler, never from a bundle. */
export function compileEquation(equation: Equation): CompiledEquation {
  const tensors = [...new Set([...reads(equation), ...writes(equation)])]
  const printer = new LoopPrinter(tensors)
  const compute = (axes: readonly Axis[], stores: readonly Store[]): void =>
    printer.points(axes, () => {
      const values = stores.map((s) => printer.value(s.value))
      stores.forEach((s, i) => printer.line(`${printer.element(s.tensor, s.at)} ${s.counts ? '+' : ''}= ${values[i]};`))
    })
  if (equation.fusedProducer) compute(equation.fusedProducer.axes, [equation.fusedProducer.store])
  compute(equation.axes, equation.stores)
  const sums = equation.sides.flatMap((side) => (side.kind === 'sums' ? [compileEquation(sumsEquation(side))] : []))
  const body = loopsOf(printer.text())
  return {
    tensors,
    run: (data, scalars) => {
      body(data, scalars, randomUniform, erf)
      const dataOf = (t: Tensor): Numbers => data[tensors.indexOf(t)]!
      for (const side of equation.sides) if (side.kind === 'moments') runMoments(equation, side, dataOf, scalars.batch)
      for (const side of sums) side.run(side.tensors.map(dataOf), scalars)
    },
  }
}

/** Moments of each block of what was stored: see `SideReduction`. */
function runMoments(equation: Equation, side: SideMoments, dataOf: (t: Tensor) => Numbers, batch: number): void {
  const source = dataOf(side.source)
  const into = dataOf(side.partials)
  const step = strides(side.source.shape)
  const dimensions = equation.axes.filter((a) => a !== side.groupAxis)
  const size = (a: Axis): number => (a.extent === 'n' ? batch : (a.extent as number))
  const visitBlocks = (depth: number, ranges: { start: number; end: number; stride: number }[], slot: number): void => {
    if (depth < side.blocks.length) {
      const block = side.blocks[depth]!
      const total = size(block.axis)
      const stride = step[dimensions.indexOf(block.axis)]!
      const count = Math.ceil(total / block.size)
      for (let b = 0; b < count; b++) {
        const range = { start: b * block.size, end: Math.min(total, (b + 1) * block.size), stride }
        visitBlocks(depth + 1, [...ranges, range], slot * count + b)
      }
      return
    }
    const kept = channelCount(side)
    const keptStride = step[dimensions.indexOf(side.keptAxis)]!
    for (let k = 0; k < kept; k++) {
      const values: number[] = []
      const collect = (depth2: number, position: number): void => {
        const range = ranges[depth2]
        if (!range) values.push(source[position]!)
        else for (let i = range.start; i < range.end; i++) collect(depth2 + 1, position + i * range.stride)
      }
      collect(0, (k + (side.channelOffset ?? 0)) * keptStride)
      const reference = values[0]!
      const mean = values.reduce((total, x) => total + (x - reference), 0) / values.length
      const squares = values.reduce((total, x) => total + (x - reference - mean) ** 2, 0)
      into.set([reference, mean, squares, values.length], (slot * kept + k) * 4)
    }
  }
  visitBlocks(0, [], 0)
}
