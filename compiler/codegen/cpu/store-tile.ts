import { invariant } from '../../invariant.ts'
import { type Index, linearIndex } from '../../ir/affine.ts'
import type { Equation, Store } from '../../ir/equation.ts'
import type { Tensor } from '../../ir/tensor.ts'
import type { Operand, Statement } from '../kernel-function.ts'
import type { Point } from '../point.ts'
import { range } from '../range.ts'
import type { ReductionEmitter } from '../reduction-emitter.ts'
import * as operands from '../operands.ts'
import * as statements from '../statements.ts'

/** A store whose value was emitted, and which itself is not yet. */
interface Stored {
  readonly binding: number
  readonly index: Index
  /** 0: one value. */
  readonly step: number
  readonly value: Operand
  /** What is there is added to. */
  readonly isAdded?: boolean
}

/**
 * Emits the values that an equation stores at the points of a tile, and their stores; `slots` numbers the buffers. Vectors whose lanes lie
 * apart in memory are stored together with those that fill their gaps; with `pairs`, a vector is followed by the one behind it in memory.
 */
export function storeTile(
  { name, stores }: Equation,
  values: ReductionEmitter,
  slots: ReadonlyMap<Tensor, number>,
  points: readonly Point[],
  pairs: boolean,
): void {
  const { builder } = values
  const counted = stores.filter((s) => s.counts).map((s) => ({
    binding: slots.get(s.tensor)!,
    values: points.map((point) => values.counted(s.value, point)),
  }))
  const found: Stored[] = stores.filter((s) => !s.counts).flatMap((s) => {
    const linear = linearIndex(s.tensor, s.at)
    // By the terms of the index, then by its constant.
    const entries: Stored[] = []
    const places = new Map<string, Map<number, number>>()
    const together = fourSums(s, linear, values, points)
    for (const given of points) {
      const four = together.get(given)
      if (four !== undefined) {
        if (four) entries.push({ binding: slots.get(s.tensor)!, step: 1, ...four })
        continue
      }
      const lanes = values.lanesOfIndex(linear, given)
      invariant(lanes, () => `${name}: ${s.tensor.name} is stored at uneven distances`)
      const point = lanes.step === 0 ? given.lane(0) : given
      const inFours = point.lanes !== undefined
      const terms = inFours ? `${lanes.first.termsKey}*` : lanes.first.termsKey
      let ofTerms = places.get(terms)
      if (!ofTerms) places.set(terms, ofTerms = new Map())
      const place = ofTerms.get(lanes.first.constant) ?? entries.length
      ofTerms.set(lanes.first.constant, place)
      entries[place] = {
        binding: slots.get(s.tensor)!,
        index: lanes.first,
        step: inFours ? lanes.step : 0,
        value: values.value(s.value, point),
      }
    }
    return entries
  })
  const target: Statement[] = builder.innermost.statements
  const done = new Set<Stored>()
  for (const entry of pairs ? inPairs(found) : found) {
    if (done.has(entry)) continue
    const at = builder.indexOperand(entry.index)
    const interleaved = entry.step === 2 || entry.step >= 4 ? neighbours(entry, found) : undefined
    if (interleaved) {
      for (const other of interleaved) done.add(other)
      target.push(statements.storeInterleaved(entry.binding, at, interleaved.map((w) => w.value), entry.step))
    } else if (entry.step > 0) {
      const value = entry.isAdded ? operands.operation('add', [operands.load(entry.binding, at, 4, 1), entry.value], 'f32', 4) : entry.value
      target.push(statements.store(entry.binding, at, value, 4, entry.step))
    } else target.push(statements.store(entry.binding, at, entry.value))
  }
  for (const { binding, values } of counted) target.push(statements.count(binding, values))
}

/**
 * Single points whose sums are lanes of one vector and are stored side by side, as they are or added to what is there: the first of four has their
 * store, the others have null.
 */
function fourSums(
  { tensor, at, value }: Store,
  linear: Index,
  values: ReductionEmitter,
  points: readonly Point[],
): ReadonlyMap<Point, Pick<Stored, 'index' | 'value' | 'isAdded'> | null> {
  const found = new Map<Point, Pick<Stored, 'index' | 'value' | 'isAdded'> | null>()
  const isAdded = value.kind === 'binary' && value.op === 'add' && value.a.kind === 'load' && value.a.tensor === tensor &&
    linearIndex(tensor, value.a.at).key === linearIndex(tensor, at).key
  const sum = isAdded ? value.b : value
  if (sum.kind !== 'reduce') return found
  for (let i = 0; i + 4 <= points.length;) {
    const four = points.slice(i, i + 4)
    const sums = four.map((p) => (p.lanes ? undefined : values.found(sum, p)))
    const first = sums[0]?.kind === 'lane' ? sums[0].of : undefined
    const start = values.at(linear, four[0]!)
    const isTogether = first && four.every((p, lane) => {
      const [part, place] = [sums[lane], values.at(linear, p)]
      return part?.kind === 'lane' && part.of === first && part.lane === lane && place.termsKey === start.termsKey &&
        place.constant === start.constant + lane
    })
    if (isTogether) four.forEach((p, lane) => found.set(p, lane === 0 ? { index: start, value: first, isAdded } : null))
    i += isTogether ? 4 : 1
  }
  return found
}

/** Stores of vectors, each followed by the one that lies behind it in memory. */
function inPairs(found: readonly Stored[]): readonly Stored[] {
  const key = ({ binding, index: at }: Stored, further = 0): string => `${binding} ${at.termsKey} ${at.constant + further}`
  const places = new Map(found.filter((s) => s.step === 1).map((s) => [key(s), s]))
  const taken = new Set<Stored>()
  return found.flatMap((first) => {
    if (taken.has(first)) return []
    const second = first.step === 1 ? places.get(key(first, 4)) : undefined
    const own = second && !taken.has(second) ? [first, second] : [first]
    for (const s of own) taken.add(s)
    return own
  })
}

/** Stores beside one whose lanes lie apart, in order: two that fill its gaps, or four. */
function neighbours(first: Stored, all: readonly Stored[]): Stored[] | undefined {
  const found = range(Math.min(4, first.step)).map((i) =>
    all.find((other) =>
      other.binding === first.binding && other.step === first.step && other.index.termsKey === first.index.termsKey &&
      other.index.constant === first.index.constant + i
    )
  )
  return found.every((s) => s !== undefined) ? found as Stored[] : undefined
}
