import type { ModelLayer } from '../model-net.ts'

/** A layer, or layers that belong together and make one value: what may become a call of a block. */
export interface Part {
  /** Where it lies in the modules around, outermost first, its own name last. */
  readonly path: readonly string[]
  readonly inputs: readonly (string | number)[]
  readonly output: string
  readonly layer?: ModelLayer
  readonly parts?: readonly Part[]
  /** Its name in the net itself, where the parts around it are dissolved. Default: behind their names. */
  readonly own?: readonly string[]
}

export const tensorsOf = (part: Part): string[] => part.inputs.filter((input): input is string => typeof input === 'string')

/** What parts read that none of them makes, in the order in which it is read. */
export function outerInputs(parts: readonly Part[]): string[] {
  const made = new Set(parts.map(({ output }) => output))
  return [...new Set(parts.flatMap(tensorsOf))].filter((value) => !made.has(value))
}

/**
 * Joins some of a list's parts to one, in the place of the last of them. Undefined where that cannot be: they make more than one value for
 * others, or something between them depends on one and is read by another. `wanted`: values that are read outside of the list.
 */
export function joined(
  parts: readonly Part[],
  chosen: ReadonlySet<Part>,
  wanted: ReadonlySet<string>,
  join: (inner: readonly Part[], output: string) => Part,
): Part[] | undefined {
  const inner = parts.filter((part) => chosen.has(part))
  const made = new Set(inner.map(({ output }) => output))
  const read = new Set([...wanted, ...parts.filter((part) => !chosen.has(part)).flatMap(tensorsOf)])
  const outputs = [...made].filter((value) => read.has(value))
  if (outputs.length !== 1) return undefined
  const first = parts.indexOf(inner[0]!)
  const last = parts.indexOf(inner.at(-1)!)
  const dependent = new Set(made)
  const [before, after]: [Part[], Part[]] = [[], []]
  for (const part of parts.slice(first, last + 1)) {
    const depends = tensorsOf(part).some((value) => dependent.has(value))
    if (chosen.has(part)) {
      if (tensorsOf(part).some((value) => dependent.has(value) && !made.has(value))) return undefined
    } else {
      if (depends) dependent.add(part.output)
      ;(depends ? after : before).push(part)
    }
  }
  return [...parts.slice(0, first), ...before, join(inner, outputs[0]!), ...after, ...parts.slice(last + 1)]
}

/** A part that holds others. */
export const region = (path: readonly string[], parts: readonly Part[], output: string): Part => ({
  path,
  parts,
  inputs: outerInputs(parts),
  output,
})

/** The parts in the place of the one that holds them, with its name before theirs; in the net itself under their own names, where they have some. */
export const dissolved = (part: Part, inNet = false): Part[] =>
  (part.parts ?? []).map((one) => ({ ...one, path: (inNet ? one.own : undefined) ?? [...part.path, ...one.path] }))
