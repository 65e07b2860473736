import { identifier } from '../codegen/kernel-names.ts'
import { withoutRemarks } from '../codegen/printed-kernel.ts'
import type { Equation } from '../ir/equation.ts'
import { inOrderOver } from '../ir/in-order.ts'
import type { Tensor } from '../ir/tensor.ts'

/*
 * The text of a kernel with places where names are put in: `the.kernel` for its own; for a tensor, by its number in the canonical text, `tensor.3` where
 * its name stands as it is (in remarks), `tensor_3` where it is a word of the language. So layers of one shape share one text, whatever they are called.
 */

const PLACES = /\b(?:the\.kernel|tensor([._])(\d+))(?=\b|_)/g

/** The equation with those places for names, its axes in order: what a template is printed from. Its tensors by their numbers. */
export function withPlaces(e: Equation): { readonly equation: Equation; readonly tensors: readonly Tensor[] } {
  const tensors: Tensor[] = []
  const equation = inOrderOver(e, (t, number) => tensors[number] = { ...t, name: `tensor.${number}` })
  return { equation: { ...equation, name: 'the.kernel' }, tensors }
}

/** The variables that a template's workgroups and its entry point declare, between spaces. A line declares one at most, in front of all else. */
export function variablesOf(template: string): string {
  const found = new Set<string>()
  const add = (from: number): void => {
    let to = from
    while (isWordCharacter(template.charCodeAt(to))) to++
    found.add(template.slice(from, to))
  }
  const main = template.indexOf('\nfn main(')
  for (let at = template.indexOf(SHARED); at >= 0 && at < main; at = template.indexOf(SHARED, at + 1)) add(at + SHARED.length)
  for (let line = main; line >= 0; line = template.indexOf('\n', line + 1)) {
    let at = line + 1
    while (template.charCodeAt(at) === SPACE) at++
    if (template.startsWith(LOOP, at)) at += LOOP.length
    if (template.startsWith('let ', at) || template.startsWith('var ', at)) add(at + 4)
  }
  return ` ${[...found].join(' ')} `
}

const SHARED = 'var<workgroup> '
const LOOP = 'for ('
const SPACE = 0x20

/** Letters, digits and underscores. */
const isWordCharacter = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x5f || (code >= 0x41 && code <= 0x5a)

/** A word of the language for each tensor, none of them among the reserved ones, which stand between spaces. */
export function namesFor(tensors: readonly Tensor[], reserved: string): string[] {
  const used = new Set<string>()
  return tensors.map(({ name }) => {
    const word = unusedWord(identifier(name), (wanted) => used.has(wanted) || reserved.includes(` ${wanted} `))
    used.add(word)
    return word
  })
}

function unusedWord(wanted: string, isUsed: (word: string) => boolean): string {
  let word = wanted
  for (let i = 2; isUsed(word); i++) word = `${wanted}_${i}`
  return word
}

export interface Names {
  readonly kernel: string
  readonly tensors: readonly Tensor[]
  /** The words of `namesFor`. */
  readonly words: readonly string[]
}

/** The template with names in their places. Its variables (`variablesOf`) give way to tensors of their names; `reserved` as for `namesFor`. */
export function filled(template: string, variables: string, reserved: string, { kernel, tensors, words }: Names): string {
  let text = template
  for (const word of words) {
    if (!variables.includes(` ${word} `)) continue
    const other = unusedWord(
      `${word}_2`,
      (wanted) => words.includes(wanted) || variables.includes(` ${wanted} `) || reserved.includes(` ${wanted} `),
    )
    text = text.replace(new RegExp(`^//.*$|(?<![.\\w])${word}(?!\\w)`, 'gm'), (found) => (found === word ? other : found))
  }
  return text.replace(
    PLACES,
    (
      _,
      kind: string | undefined,
      number: string,
    ) => (kind === undefined ? kernel : kind === '.' ? tensors[Number(number)]!.name : words[Number(number)]!),
  )
}

/** The template, without remarks, with tensors by other numbers. `#` stands in no language that is printed: what is the same then differs in names alone. */
export const numbered = (template: string, numbers: ReadonlyMap<number, number>): string =>
  withoutRemarks(template).replace(PLACES, (_, __, number: string) => `#${numbers.get(Number(number))}`)
