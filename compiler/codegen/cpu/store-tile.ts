import { invariant } from '../../invariant.ts'
import { type Index, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Tensor } from '../../ir/tensor.ts'
import type { Operand, Statement } from '../kernel-function.ts'
import type { Point } from '../point.ts'
import { range } from '../range.ts'
import type { ReductionEmitter } from '../reduction-emitter.ts'
import * as statements from '../statements.ts'

/** A store whose value was emitted, and which itself is not yet. */
interface Stored {
  readonly binding: number
  readonly index: Index
  /** 0: one value. */
  readonly step: number
  readonly value: Operand
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
    for (const given of points) {
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
    } else if (entry.step > 0) target.push(statements.store(entry.binding, at, entry.value, 4, entry.step))
    else target.push(statements.store(entry.binding, at, entry.value))
  }
  for (const { binding, values } of counted) target.push(statements.count(binding, values))
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
