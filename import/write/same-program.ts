import type { Program, ValueRef } from '../../dsl/program.ts'

/**
 * Whether two programs compute the same: the same results from the same inputs through the same calls, in whatever order they are written.
 * `owner` says which layer of the model a layer that owns parameters is; undefined: it owns none.
 */
export function isSameProgram(
  a: Program,
  b: Program,
  ownerOfA: (name: string) => unknown,
  ownerOfB: (name: string) => unknown,
): boolean {
  const numbers = new Map<string, number>()
  const owners = new Map<unknown, number>()
  const numberOf = (key: string): number => numbers.get(key) ?? numbers.set(key, numbers.size).get(key)!
  const results = ({ layers, inputs, outputs, losses, metrics, style }: Program, ownerOf: (name: string) => unknown): string => {
    const made: number[] = []
    const value = (ref: ValueRef): number | string => (ref.kind === 'input' ? `input ${ref.name}` : made[ref.index]!)
    const ownerNumber = (name: string): number | undefined => {
      const owner = ownerOf(name)
      return owner === undefined ? undefined : owners.get(owner) ?? owners.set(owner, owners.size).get(owner)!
    }
    for (const { op, name, inputs: read, attributes } of layers) {
      const { weights, ...others } = attributes
      const shared = typeof weights === 'string' ? ownerNumber(weights) : undefined
      made.push(numberOf(JSON.stringify([op, read.map(value), Object.entries(others).sort(byName), ownerNumber(name), shared])))
    }
    const named = [outputs, losses, metrics].map((all) => all.map((one) => [one.name, value(one.value)]).sort(byName))
    const declared = inputs.map(({ span: _, ...rest }) => rest)
    return JSON.stringify([style, declared, named])
  }
  return results(a, ownerOfA) === results(b, ownerOfB)
}

const byName = ([a]: readonly unknown[], [b]: readonly unknown[]): number => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0)
