import { freeAxes, memoryStride } from '../../ir/analysis.ts'
import { divisors } from '../../ir/divisors.ts'
import type { Axis } from '../../ir/affine.ts'
import { needsPacking } from './contraction.ts'
import { CPU, tailWaste } from './cost-model.ts'
import { AxisNames, type ContractionSchedule, otherFactor } from './schedule.ts'
import type { Contraction } from './simplify.ts'

/** Images whose sums lie in registers together. */
const IMAGE_TILE = 4
/** Sums that vectors at an edge compute again, as a factor: up to which they are the price of what follows in vectors. */
const MOST_WASTE = 1.1

/**
 * The schedule of an inner product or of its gradient by the input, as a matrix product: tasks have blocks of images, and what is loaded of the weights is used
 * for several of them. One image at a time would read all weights for each, from as far as they lie. Undefined where an equation is no such product.
 */
export function chooseInnerProduct(c: Contraction): ContractionSchedule | undefined {
  const { equation: e, main } = c
  const [batch, out, ...others] = e.axes
  const [k, ...reduced] = main.axes
  if (batch?.extent !== 'n' || !out || others.length > 0 || e.sides.length > 0 || !k || reduced.length > 0) return undefined
  if (typeof out.extent !== 'number' || typeof k.extent !== 'number' || out.extent < 2) return undefined
  const weights = (['a', 'b'] as const).find((f) => !freeAxes(main.body[f]).has(batch))
  const load = weights && main.body[weights]
  if (load?.kind !== 'load' || !freeAxes(load).has(out)) return undefined
  const images = otherFactor(weights!)
  if (freeAxes(main.body[images]).has(out) || !freeAxes(main.body[images]).has(batch)) return undefined
  const along = (a: Axis): number | undefined => memoryStride(load.tensor, load.at, a)
  const names = new AxisNames(e)
  const prepared = needsPacking(main.body[images]) ? [images] : []
  const block = k.extent * out.extent >= CPU.bigWeights ? 32 : 2 * IMAGE_TILE
  if (block * k.extent > CPU.mostPack) return undefined
  const common = { algorithm: 'contraction', vectorFactor: weights! } as const
  if (along(k) === 1 && k.extent >= 4 * CPU.lanes) {
    const blocks = divisors(out.extent).filter((d) => d >= 16 && d * (k.extent as number) <= 2 * CPU.bigWeights).at(-1)
    return {
      ...common,
      tasks: [names.of(batch), ...(cuts(out, blocks) ? [names.of(out)] : [])],
      taskBlock: names.sizes([[batch, block], ...(cuts(out, blocks) ? [[out, blocks!] as const] : [])]),
      packed: prepared,
      // Sums of four neighbours become a vector, so that what follows them is computed in vectors.
      registerTile: names.sizes(tailWaste(out, CPU.lanes) <= MOST_WASTE ? [[batch, 2], [out, CPU.lanes]] : [[batch, IMAGE_TILE], [out, 2]]),
      vectorReduction: names.of(k),
      unroll: names.sizes([[k, 2]]),
    }
  }
  if (along(out) !== 1 || out.extent < 2 * CPU.lanes) return undefined
  const columns = divisors(out.extent).filter((d) => d >= 2 * CPU.lanes && d * (k.extent as number) <= CPU.bigWeights).at(-1) ??
    divisors(out.extent).find((d) => d >= 2 * CPU.lanes)!
  if (columns * k.extent > CPU.mostPack) return undefined
  const steps = [4, 2].find((d) => (k.extent as number) % d === 0)
  return {
    ...common,
    // Columns first: a thread keeps those of the weights that it has packed, for all images.
    tasks: [...(cuts(out, columns) ? [names.of(out)] : []), names.of(batch)],
    taskBlock: names.sizes([[batch, block], ...(cuts(out, columns) ? [[out, columns] as const] : [])]),
    packed: [weights!, ...prepared],
    registerTile: names.sizes([[batch, IMAGE_TILE], [out, 2 * CPU.lanes]]),
    vectorAxis: names.of(out),
    unroll: names.sizes(steps === undefined ? [] : [[k, steps]]),
  }
}

const cuts = (a: Axis, size: number | undefined): boolean => size !== undefined && size < (a.extent as number)
