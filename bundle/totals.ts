import type { Numbers } from './device.ts'
import type { OutputEntry, TotalTerm } from './format.ts'

/** Results by name, of one batch or of all. */
type Values = ReadonlyMap<string, Numbers>

/** The sum of a result before it is divided. */
interface Sum {
  total: number
  weight: number
}

/**
 * Puts the losses and metrics of batches together to those of all, by numerators and denominators: the same, to rounding, as if all
 * were one batch, however they are cut. `outputs`: those that are one number.
 */
export class Totals {
  readonly #outputs: readonly OutputEntry[]
  readonly #sums = new Map<TotalTerm, Sum>()
  readonly #terms: ReadonlyMap<string, readonly TotalTerm[]>
  #batches = 0

  constructor(outputs: readonly OutputEntry[]) {
    this.#outputs = outputs
    this.#terms = new Map(outputs.map(({ name, total }) => [name, total?.length ? total : [{ result: name, over: 'samples' }]]))
  }

  /** The results to read of a program. */
  get results(): string[] {
    return [
      ...new Set(
        [...this.#terms.values()].flatMap((terms) =>
          terms.flatMap(({ result, count }) => (count === undefined ? [result] : [result, count]))
        ),
      ),
    ]
  }

  add(values: Values, samples: number): void {
    this.#batches++
    for (const term of [...this.#terms.values()].flat()) {
      const found = values.get(term.result)
      const counted = term.count === undefined ? undefined : values.get(term.count)
      if (!found || (term.count !== undefined && !counted)) continue
      const sum = this.#sums.get(term) ?? { total: 0, weight: 0 }
      this.#sums.set(term, sum)
      const weight = term.over === 'count' ? counted![0]! : term.over === 'samples' ? samples : 1
      // A batch without labels adds nothing, whatever its loss says.
      sum.total += weight === 0 ? 0 : found[0]! * weight
      sum.weight += weight
    }
  }

  /** The results that were there, of all batches. `mean`: a sum counts as the mean of its values. */
  values(sums: 'sum' | 'mean' = 'sum'): Map<string, number> {
    return new Map(this.#outputs.flatMap(({ name }) => {
      const terms = this.#terms.get(name)!
      return terms.every((term) => this.#sums.has(term)) ? [
        [
          name,
          terms.reduce((sum, term) => sum + (term.factor ?? 1) * this.#valueOf(term, sums), 0),
        ] as const,
      ] : []
    }))
  }

  #valueOf(term: TotalTerm, sums: 'sum' | 'mean'): number {
    const { total, weight } = this.#sums.get(term)!
    // Never less than 1: where all is ignored it is 0, as in one batch.
    return term.over === 'sum' && sums === 'sum' ? total : total / Math.max(weight, 1)
  }

  /** Notes on results whose mean depends on how samples are batched, and on those with nothing to count. */
  notes(): string[] {
    const parts = this.#outputs.filter(({ total }) => total?.length === 0).map(({ name }) => name)
    const empty = this.#outputs.filter(({ name }) =>
      this.#terms.get(name)!.every((term) => term.over === 'count' && this.#sums.get(term)?.weight === 0)
    ).map(({ name }) => name)
    return [
      ...(parts.length > 0 && this.#batches > 1
        ? [`${parts.join(', ')}: made of values of whole batches, so this mean over batches depends on how many samples they have`] : []),
      ...(empty.length > 0 ? [`${empty.join(', ')}: every label is ignored, so there is nothing to count`] : []),
    ]
  }
}
