import type { RecomputationModel } from './recomputation-model.ts'

/** Recomputing the whole forward pass is worth this share of the peak. */
const PASS_WORTH = 0.1
/** Exponent of the norm that stands for the peak while single values are tried. */
const POWER = 24
const MOST_ROUNDS = 4
const MOST_STARTS = 2
/** Limit on the work for very deep nets, in values and kernels visited: past it the search stops. */
const MOST_WEIGHED = 2e8

/** What the search asks of a program. */
export type WeighedProgram = Pick<RecomputationModel, 'values' | 'bytes' | 'flops' | 'candidates' | 'weigh'>

/** Chooses the values of a program that are worth dropping: 1 for each of them, by its number. */
export const chooseDropped = (program: WeighedProgram): Uint8Array => new DropSearch(program).run()

/**
 * The cost model: peak times 1 + PASS_WORTH * (FLOPs done again / FLOPs of the forward pass). It starts with the best of the plans that
 * keep one value in every so many bytes (Chen's segments), then lets go or keeps single values as long as that pays; while a
 * single value cannot lower the largest of many peaks, a high norm of the bytes alive over time stands for the largest.
 */
class DropSearch {
  private readonly program: WeighedProgram
  /** FLOPs of the forward pass: a third of all. */
  private readonly pass: number
  /** Plans that may still be weighed. */
  private left: number

  constructor(program: WeighedProgram) {
    this.program = program
    this.left = MOST_WEIGHED / Math.max(1, program.values.length + program.flops.length)
    this.pass = program.candidates.length === 0 ? 1 : Math.max(1, program.flops.reduce((a, b) => a + b, 0) / 3)
  }

  run(): Uint8Array {
    const { candidates, values } = this.program
    let best: Uint8Array = new Uint8Array(values.length)
    let bestCost = this.cost(best, largest)
    const starts: { dropped: Uint8Array; cost: number }[] = []
    for (let segments = 1; segments <= candidates.length; segments *= 2) {
      const dropped = this.segments(segments)
      starts.push({ dropped, cost: this.cost(dropped, norm) })
    }
    for (const { dropped } of starts.sort((a, b) => a.cost - b.cost).slice(0, MOST_STARTS)) {
      this.climb(dropped, norm)
      this.climb(dropped, largest)
      const cost = this.cost(dropped, largest)
      if (cost < bestCost) [best, bestCost] = [dropped, cost]
    }
    return best
  }

  /** Keeps the value with which each segment gets full. */
  private segments(count: number): Uint8Array {
    const { candidates, bytes, values } = this.program
    const most = candidates.reduce((sum, v) => sum + bytes[v]!, 0) / count
    const dropped = new Uint8Array(values.length)
    let sum = 0
    for (const v of candidates) {
      sum += bytes[v]!
      if (sum > most) sum = 0
      else dropped[v] = 1
    }
    return dropped
  }

  /** Turns over value after value, and leaves what pays. */
  private climb(dropped: Uint8Array, peak: (alive: Float64Array) => number): void {
    let cost = this.cost(dropped, peak)
    for (let round = 0, changed = true; changed && round < MOST_ROUNDS; round++) {
      changed = false
      for (const v of this.program.candidates) {
        dropped[v]! ^= 1
        if (this.left <= 0) {
          dropped[v]! ^= 1
          return
        }
        const other = this.cost(dropped, peak)
        if (other < cost) [cost, changed] = [other, true]
        else dropped[v]! ^= 1
      }
    }
  }

  /** The peak times what the FLOPs that are done again make of it; infinite where a value could not be made again. */
  private cost(dropped: Uint8Array, peak: (alive: Float64Array) => number): number {
    this.left--
    const weight = this.program.weigh(dropped)
    return weight ? peak(weight.alive) * (1 + (PASS_WORTH * weight.flops) / this.pass) : Infinity
  }
}

function largest(alive: Float64Array): number {
  let most = 0
  for (const bytes of alive) if (bytes > most) most = bytes
  return most
}

/** A norm of the bytes that are alive over time, near the largest. */
function norm(alive: Float64Array): number {
  const most = largest(alive)
  let sum = 0
  for (const bytes of alive) sum += (bytes / most) ** POWER
  return most * sum ** (1 / POWER)
}
