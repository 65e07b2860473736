import { freeAxes, hasReduction, memoryStride } from '../../ir/analysis.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { updatesInPlace } from '../../ir/regions.ts'
import { children, type Expression } from '../../ir/expression.ts'
import { FUNCTIONS } from './count-work.ts'
import { CPU } from './cost-model.ts'

/** Vectors of a step. */
const STEP = 2

/**
 * The vectors of a register tile whose epilogue is computed at a time; undefined: all. V8 leaves loads and stores in their order, and what is computed is put
 * off until it is stored: of a whole tile at once, all that its points load is in registers together with its sums, and most of both goes to the stack. It
 * pays where more is loaded than registers hold beside the sums (1 x 1 of 96 and 144 channels on 16 x 16 with batch normalization's gradient: 0.88).
 * `vectors`: sums of the tile, whose points lie in lanes along `lanes`.
 */
export function epilogueStep(e: Equation, lanes: Axis | undefined, vectors: number): number | undefined {
  const { stores } = e
  if (!lanes || vectors <= STEP || updatesInPlace(e)) return undefined
  if (!stores.every((s) => !s.counts && s.value.kind !== 'reduce' && memoryStride(s.tensor, s.at, lanes) === 1)) return undefined
  const parts = new Set<Expression>()
  for (const { value } of stores) if (hasReduction(value)) collect(value, parts)
  const kept = [...parts].filter((e) => e.kind === 'load' || isFunction(e))
  const ofPoints = kept.filter((e) => freeAxes(e).has(lanes)).length
  return ofPoints > 0 && vectors * (1 + ofPoints) + kept.length - ofPoints >= CPU.registers ? STEP : undefined
}

const isFunction = (e: Expression): boolean => (e.kind === 'unary' || e.kind === 'binary') && FUNCTIONS.has(e.op)

/** All that is computed beside the sums. */
function collect(e: Expression, found: Set<Expression>): void {
  if (e.kind === 'reduce' || found.has(e)) return
  found.add(e)
  for (const child of children(e)) collect(child, found)
}
