import { children, load } from '../../ir/expression.ts'
import { freeAxes, isContraction, memoryStride, reductions } from '../../ir/analysis.ts'
import { axis, divide, remainder } from '../../ir/affine.ts'
import { equation, store } from '../../ir/equation.ts'
import { replaceNode } from '../../ir/rewrite.ts'
import { tensor, type Tensor } from '../../ir/tensor.ts'
import { MOST_COPIES } from '../accumulators.ts'
import { keptFrom } from './contraction-nest.ts'
import { CPU } from './cost-model.ts'
import { type ImageBlock, type Loop, type LoopNest, type Stage, pointsOfTile } from './loop-nest.ts'
import { MOST_SUMS } from './separate-pairs.ts'

/** An inner product whose images are summed up two by two. */
export interface PairedImages {
  /** Copies a task's images, which follow each other in pairs of vectors then, and multiplies. */
  readonly pack: Stage
  readonly multiply: Stage
  readonly into: Tensor
  readonly images: ImageBlock
}

/**
 * An inner product whose terms lie in lanes, for engines that join neighbouring vectors: four terms of one image and the same four of the next one lie side
 * by side in a copy of the images, and stand for eight lanes beside four weights that serve both. Each sum has the terms that it had, in their order, so that
 * its bits stay. Undefined where a stage is no such product, or where a sum has several accumulators, whose terms would be others here.
 */
export function pairImages(nest: LoopNest, stage: Stage): PairedImages | undefined {
  const { images, grid } = nest
  const { equation: e, loops, vectorReduction: k, unroll } = stage
  if (!images || images.lanes || stage.gathers || !k || (k.extent as number) % CPU.lanes !== 0) return undefined
  const sums = [...new Set(e.stores.flatMap((s) => reductions(s.value)))]
  const [sum] = sums
  if (sums.length !== 1 || !sum || !isContraction(sum) || sum.axes.length !== 1) return undefined
  const ofImages = children(sum.body).filter((f) => freeAxes(f).has(images.axis))
  const [factor] = ofImages
  if (ofImages.length !== 1 || factor?.kind !== 'load' || memoryStride(factor.tensor, factor.at, k) !== 1) return undefined
  // Nothing but images and terms may move it: a copy has all of a task.
  if ([...freeAxes(factor)].some((a) => a !== images.axis && a !== k && !grid.includes(a))) return undefined
  const own = loops.find((l) => l.axis === images.axis)
  const size = pointsOfTile(loops)
  if (!own || 2 * size > MOST_SUMS || size * (unroll.get(k) ?? 1) <= MOST_COPIES) return undefined
  const [count, tile] = [images.axis.extent as number, 2 * own.tile]
  if (count % tile !== 0) return undefined
  const slots = axis(`${images.axis.name}_slot`, count)
  const into = tensor('images', [count / 2, (k.extent as number) / CPU.lanes, 2, CPU.lanes])
  const at = [divide(slots, 2), divide(k, CPU.lanes), remainder(slots, 2), remainder(k, CPU.lanes)]
  const read = load(into, ...at)
  const inPairs: Loop = { axis: images.axis, tile }
  return {
    pack: {
      equation: equation(`${e.name}.images`, [], [...e.axes.filter((a) => grid.includes(a)), images.axis, k], [store(into, at, factor)]),
      loops: [inPairs, { axis: k, tile: 1, vectorized: true }],
      unroll: new Map(),
      // A thread that goes on to a task of the same images keeps their copy; those that it has made for a task itself are others in the next one.
      ...(!nest.scratch.includes(factor.tensor) && keptFrom(factor, { grid })),
    },
    multiply: {
      ...stage,
      equation: { ...e, stores: e.stores.map((s) => ({ ...s, value: replaceNode(s.value, factor, read) })) },
      loops: loops.map((l) => (l === own ? inPairs : l)),
    },
    into,
    images: { ...images, slots },
  }
}
