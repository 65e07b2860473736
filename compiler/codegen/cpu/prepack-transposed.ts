import { isLoadedOnceIn } from '../../ir/analysis.ts'
import type { Equation } from '../../ir/equation.ts'
import { type IsConstant, packedTensor, type PrepackedKernel } from '../../ir/prepack.ts'
import { divide, type Index, plus, rangeOf, remainder } from '../../ir/affine.ts'
import { bottomUp, mapValues } from '../../ir/rewrite.ts'
import { isBatched, type Tensor } from '../../ir/tensor.ts'
import { batchReduction, fixedWhilePacking, mainOf } from './contraction.ts'
import { blocksOf, inBlocks, packFactor } from './packing.ts'
import { AxisNames, type ContractionSchedule } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { cutTasks, innerAxis } from './tasks.ts'
import { loadAt } from '../../ir/expression-node.ts'

/**
 * A sum of products whose schedule transposes a constant weight, with the weight transposed by `prepare`: a block for each task that has its own. Undefined where
 * the schedule transposes nothing, or what it transposes is no weight that lies in memory as it is multiplied.
 */
export function prepackTransposed(
  e: Equation,
  c: Contraction,
  schedule: ContractionSchedule,
  isConstant: IsConstant,
): PrepackedKernel | undefined {
  const { transposed, vectorAxis } = schedule
  if (!transposed || !vectorAxis || batchReduction(c) || e.sides.length > 0) return undefined
  const factor = c.main.body[transposed]
  if (factor.kind !== 'load' || isBatched(factor.tensor.shape) || !isConstant(factor.tensor)) return undefined
  if (!isLoadedOnceIn(c.equation, c.main, factor.tensor)) return undefined
  const names = new AxisNames(c.equation)
  const task = cutTasks(c.equation, names, schedule, { blocksOfImages: true })
  const fixed = fixedWhilePacking(c, task)
  const lanes = innerAxis(task, names.find(vectorAxis))
  const made = packFactor('packed', mainOf(task.equation).body[transposed], fixed, lanes, lanes)
  const blocks = made && blocksOf(made, fixed)
  if (!made || blocks!.some((extent) => typeof extent !== 'number')) return undefined
  const shape = [...blocks!, ...(made.into.shape as readonly number[])]
  const packed = packedTensor(factor.tensor, `transposed${shape.join('x')}`, shape)
  return {
    equation: { ...e, prepacked: { weight: factor.tensor, packed, form: 'transposed' } },
    preparation: [inDimensions({ ...inBlocks(made, fixed, packed).equation, name: packed.name, layers: e.layers }, factor.tensor)],
  }
}

/** Axes of a sum are joined where memory runs through, a window's rows and columns: an index beyond its dimension is one of the next row, and is said so. */
function inDimensions(e: Equation, { name, shape }: Tensor): Equation {
  const carried = (at: readonly Index[]): readonly Index[] => {
    const places = [...at]
    for (let d = places.length - 1; d > 0; d--) {
      const extent = shape[d] as number
      if (rangeOf(places[d]!).max < extent) continue
      places[d - 1] = plus(places[d - 1]!, divide(places[d]!, extent))
      places[d] = remainder(places[d]!, extent)
    }
    return places
  }
  return mapValues(
    e,
    bottomUp((node) => (node.kind === 'load' && node.tensor.name === name ? loadAt(node.tensor, carried(node.at)) : node)),
  )
}
