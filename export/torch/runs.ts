import type { Unit } from './instances.ts'
import { member } from './names.ts'

/** A module that is made: a layer, as its text; a block, with what it is given. */
export type Made =
  & { readonly unit: Unit }
  & ({ readonly text: string } | { readonly type: string; readonly names: readonly string[]; readonly give: readonly string[] })

/** A statement of a forward: which names it gives to what, and what of. */
export interface Assignment {
  readonly unit: Unit
  readonly targets: readonly string[]
  readonly reads: readonly string[]
  readonly value: string
  /** Lines of the text that it comes from, where they were not shown before. */
  readonly comment: readonly string[]
}

/** So many blocks in a row are a loop. */
const FEWEST = 3

/** `dense0_7`: what stands in front of the number, and the number. */
function numbered(name: string): readonly [string, number] | undefined {
  const found = /^(.*?)(0|[1-9]\d{0,8})$/.exec(name)
  return found ? [found[1]!, Number(found[2])] : undefined
}

/** The length of the run that begins here: blocks whose names count on. */
function runLength<T extends { readonly unit: Unit }>(
  all: readonly T[],
  from: number,
  goesOn: (first: T, next: T, k: number) => boolean,
): number {
  const first = all[from]!
  const start = numbered(first.unit.name)
  if (!start || first.unit.kind !== 'block') return 1
  let length = 1
  for (; from + length < all.length; length++) {
    const next = all[from + length]!
    const place = numbered(next.unit.name)
    if (next.unit.kind !== 'block' || place?.[0] !== start[0] || place[1] !== start[1] + length || !goesOn(first, next, length)) break
  }
  return length
}

/** Lines that make modules; blocks whose arguments grow evenly are made in a loop. */
export function printMade(all: readonly Made[]): string[] {
  const lines: string[] = []
  for (let at = 0; at < all.length;) {
    const one = all[at]!
    if (!('type' in one)) {
      lines.push(`${member('self', one.unit.name)} = ${one.text}`)
      at++
      continue
    }
    const second = all[at + 1]
    const steps = second && 'type' in second && second.give.length === one.give.length
      ? one.give.map((text, k) => stepOf(text, second.give[k]!)) : []
    const length = runLength(all, at, (first, next, k) =>
      'type' in first && 'type' in next && first.type === next.type &&
      first.give.every((text, j) => steps[j] !== undefined && next.give[j] === grown(text, steps[j]!, k)))
    if (length < FEWEST) {
      lines.push(`${member('self', one.unit.name)} = ${one.type}(${given(one.names, one.give)})`)
      at++
      continue
    }
    const [name, start] = numbered(one.unit.name)!
    const give = one.give.map((text, k) => (steps[k] === 0 ? text : evenly(Number(text), steps[k]!, start)))
    lines.push(`for i in range(${between(start, length)}):`, `    self.add_module(f"${name}{i}", ${one.type}(${given(one.names, give)}))`)
    at += length
  }
  return lines
}

const between = (start: number, length: number): string => (start === 0 ? String(length) : `${start}, ${start + length}`)

/** Arguments of a class; more than two have their names. */
const given = (names: readonly string[], give: readonly string[]): string =>
  give.map((text, k) => (give.length > 2 ? `${names[k]}=${text}` : text)).join(', ')

/** How much an argument grows: 0 where it is the same, undefined where these are no whole numbers. */
function stepOf(text: string, next: string): number | undefined {
  if (text === next) return 0
  return /^\d{1,9}$/.test(text) && /^\d{1,9}$/.test(next) ? Number(next) - Number(text) : undefined
}

const grown = (text: string, step: number, k: number): string => (step === 0 ? text : String(Number(text) + step * k))

/** value + step (i - start), written plainly. */
function evenly(value: number, step: number, start: number): string {
  const first = value - step * start
  const term = step === 1 ? 'i' : `${step} * i`
  return first === 0 ? term : step < 0 ? `${first} - ${-step === 1 ? 'i' : `${-step} * i`}` : `${first} + ${term}`
}

/** Lines of a forward; blocks in a row that each read the one before are a loop. */
export function printAssignments(all: readonly Assignment[]): string[] {
  const lines: string[] = []
  for (let at = 0; at < all.length;) {
    const one = all[at]!
    lines.push(...one.comment.map((line) => `# ${line}`.trimEnd()))
    const length = runLength(
      all,
      at,
      (first, next) =>
        first.targets.length === 1 && String(first.targets) === String(next.targets) && String(first.reads) === String(next.reads) &&
        first.reads.includes(first.targets[0]!) && next.comment.length === 0,
    )
    if (length < FEWEST) {
      lines.push(one.targets.length === 0 ? one.value : `${one.targets.join(', ')} = ${one.value}`)
      at++
      continue
    }
    const [name, start] = numbered(one.unit.name)!
    lines.push(`for i in range(${between(start, length)}):`)
    lines.push(`    ${one.targets[0]} = self.get_submodule(f"${name}{i}")(${one.reads.join(', ')})`)
    at += length
  }
  return lines
}
