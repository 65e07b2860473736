import { axesOf, type Axis, axis, index, type Index, type IndexLike, isAxis, linearIndex, plus, times } from '../../ir/affine.ts'
import { equation as newEquation, type Equation, type FusedProducer, type Store } from '../../ir/equation.ts'
import { type Load, walk } from '../../ir/expression.ts'
import { storedAt } from '../../ir/inline.ts'
import { flattenAxes } from '../../ir/reshape.ts'
import type { Tensor } from '../../ir/tensor.ts'
import { CPU } from './cost-model.ts'
import { type Loop, type LoopNest, pointStage, type Stage, stagesOf } from './loop-nest.ts'
import { fits } from './schedule.ts'

/**
 * The nest with a stage in front that computes and stores what is fused into it, so that it is in the cache when it is loaded: the whole of a task's image,
 * or, where tasks count groups of channels next and load those of their own alone, these channels. A stage that would only copy the map computes it itself.
 */
export function withFusedProducer({ name, layers }: Equation, { store }: FusedProducer, nest: LoopNest): LoopNest {
  const [image] = nest.grid
  fits(image?.extent === 'n', 'tasks do not begin with the image')
  const { tensor } = store
  const channels = channelsOfTask(nest, tensor)
  const fixed = nest.grid.slice(0, channels === undefined ? 1 : 2)
  const storeAt = (at: readonly Index[]): Store => ({ tensor, at, value: storedAt(store, at) })
  const summary = `makes ${tensor.name} first; ${nest.summary}`
  const isFlat = runsThroughMap(store)
  const copy = nest.stages.find((stage): stage is Stage => !('each' in stage) && copiesWhole(stage, tensor, fixed, nest.grid, isFlat))
  if (copy) {
    const [copied] = copy.equation.stores as readonly [Store & { readonly value: Load }]
    const made = storeAt(copied.value.at)
    const equation = newEquation(name, layers, copy.equation.axes, [made, { ...copied, value: made.value }])
    // Rows that are packed by the remainder of their columns are stored whole.
    const loops = copy.loops.map((l): Loop => (isRemainder(l, copied.value) ? { ...l, tile: l.axis.extent as number } : l))
    const both: Stage = { equation, loops, unroll: copy.unroll, invariantOver: fixed }
    return { ...nest, stages: nest.stages.map((stage) => (stage === copy ? both : stage)), summary }
  }
  const own = tensor.shape.slice(1).map((extent, d) => axis('i', d === 0 && channels !== undefined ? channels : extent as number))
  const [channel, ...place] = own
  const first: readonly IndexLike[] = channel ? [channels === undefined ? channel : plus(times(fixed[1]!, channels), channel)] : []
  const equation = newEquation(name, layers, [...fixed, ...own], [storeAt([image, ...first, ...place].map(index))])
  const stage = pointStage(flattenAxes(equation, fixed), fixed)
  // Two vectors at a time, as in a pass: functions of one hide what those of the other wait for, and engines join them to one of twice the width.
  const loops = stage.loops.map((l): Loop => (l.vectorized && (l.axis.extent as number) >= 2 * CPU.lanes ? { ...l, tile: 2 } : l))
  const made: Stage = { ...stage, loops, invariantOver: fixed }
  return { ...nest, stages: [made, ...nest.stages], summary }
}

/** The number of channels of a map that a task loads where tasks count groups of them behind images; undefined where it may load any. */
function channelsOfTask({ grid: [image, group], stages }: LoopNest, tensor: Tensor): number | undefined {
  const loads = stages.flatMap(stagesOf).flatMap(({ equation, gathers }) => loadsOf([...equation.stores, ...gathers?.stores ?? []], tensor))
  const channels = typeof group?.extent === 'number' ? tensor.shape[1] as number / group.extent : 0
  const isOwn = ({ at: [n, c] }: Load): boolean =>
    n !== undefined && isAxis(n, image!) && c !== undefined && strideOfAxis(c, group!) === channels && counts(c, channels, [group!])
  return loads.length > 0 && Number.isInteger(channels) && channels * mapSize(tensor) >= LEAST_ELEMENTS && loads.every(isOwn) ? channels
    : undefined
}

/** Elements of a channel. */
const mapSize = ({ shape }: Tensor): number => shape.slice(2).reduce<number>((size, extent) => size * (extent as number), 1)

/** Elements of a task's part of a map: what was only just stored is not there yet for vectors that overlap two of those. */
const LEAST_ELEMENTS = 64

const loadsOf = (stores: readonly Store[], tensor: Tensor): Load[] =>
  stores.flatMap((s) => walk(s.value).filter((node): node is Load => node.kind === 'load' && node.tensor === tensor))

const strideOfAxis = ({ terms }: Index, a: Axis): number =>
  terms.find(({ atom }) => atom.kind === 'axis' && atom.axis === a)?.coefficient ?? 0

/** Whether an index without the terms of some axes is each number below `extent` once. */
function counts(at: Index, extent: number, without: readonly Axis[] = []): boolean {
  const own = at.terms.filter(({ atom }) => !(atom.kind === 'axis' && (atom.axis.extent === 1 || without.includes(atom.axis))))
  let size = 1
  for (const { atom, coefficient } of [...own].sort((a, b) => a.coefficient - b.coefficient)) {
    if (atom.kind !== 'axis' || typeof atom.axis.extent !== 'number' || coefficient !== size) return false
    size *= atom.axis.extent
  }
  return at.constant === 0 && size === extent
}

/** Whether what is stored depends on the place in memory alone, not on the row and the column: its map can be stored as one long row. */
function runsThroughMap({ tensor, at, value }: Store): boolean {
  const axes = at.flatMap((index) => axesOf(index))
  return axes.length > 3 && flattenAxes(newEquation('', [], axes, [{ tensor, at, value }]), axes.slice(0, 2)).axes.length === 3
}

/** Whether a stage does no more than to copy all that a task loads of a map, once for every place of `fixed`; `isFlat`: rows are one long row. */
function copiesWhole(
  { equation, loops, invariantOver }: Stage,
  tensor: Tensor,
  fixed: readonly Axis[],
  grid: readonly Axis[],
  isFlat: boolean,
): boolean {
  const [copied, ...others] = equation.stores
  if (others.length > 0 || copied!.value.kind !== 'load' || copied!.value.tensor !== tensor) return false
  if ((invariantOver ?? grid).length !== fixed.length) return false
  const load = copied!.value
  const isWhole = tensor.shape.every((extent, d) =>
    extent === 'n' ? isAxis(load.at[d]!, fixed[0]!) : countsOwn(load.at[d]!, extent as number, fixed)
  )
  const place = isFlat && countsOwn(load.at[1]!, tensor.shape[1] as number, fixed) && isAxis(load.at[0]!, fixed[0]!)
    ? linearIndex({ ...tensor, shape: [1, 1, ...tensor.shape.slice(2)] }, [index(0), index(0), ...load.at.slice(2)]) : undefined
  return (isWhole || (place !== undefined && counts(place, mapSize(tensor)))) &&
    loops.every((l) => !isRemainder(l, load) || l.axis.extent !== 3)
}

/**
 * Whether an index is each place of a dimension once. Where one runs beyond its dimension, as rows of one point each are counted with the channels, memory is
 * the same, but what is computed there asks for the channel.
 */
function countsOwn(at: Index, extent: number, fixed: readonly Axis[]): boolean {
  const groups = fixed.find((a) => strideOfAxis(at, a) !== 0)
  const own = groups === undefined ? extent : extent / (groups.extent as number)
  return (groups === undefined || strideOfAxis(at, groups) === own) && counts(at, own, fixed)
}

/** Whether a loop goes over neighbours of which each has a row of its own in packed memory: vectors of the others lie as far apart. */
const isRemainder = ({ axis: a, vectorized }: Loop, { at }: Load): boolean =>
  !vectorized && at.slice(2).some((index) => axesOf(index).length > 1 && strideOfAxis(index, a) === 1) && (a.extent as number) <= CPU.lanes
