import { identifier } from '../codegen/builder.ts'
import type { Equation } from '../ir/equation.ts'
import { inOrderOver } from '../ir/in-order.ts'
import type { Tensor } from '../ir/tensor.ts'

/*
 * The text of a kernel with places where names are put in: `the.kernel` for its own; for a tensor, by its number in the canonical text, `tensor.3` where
 * its name stands as it is (in remarks), `tensor_3` where it is a word of the language. So layers of one shape share one text, whatever they are called.
 */

const PLACES = /\b(?:the\.kernel|tensor([._])(\d+))\b/g

/** The equation with those places for names, its axes in order: what a template is printed from. Its tensors by their numbers. */
export function withPlaces(e: Equation): { readonly equation: Equation; readonly tensors: readonly Tensor[] } {
  const tensors: Tensor[] = []
  const equation = inOrderOver(e, (t, number) => tensors[number] = { ...t, name: `tensor.${number}` })
  return { equation: { ...equation, name: 'the.kernel' }, tensors }
}

/** All words of a template but for places, between spaces. */
export const wordsOf = (template: string): string =>
  ` ${[...new Set(template.replace(/^\/\/.*\n/gm, '').replace(PLACES, '').match(/[A-Za-z_]\w*/g))].join(' ')} `

/** A word of the language for each tensor, none of which is in the template or reserved. */
export function namesFor(tensors: readonly Tensor[], words: string, reserved: ReadonlySet<string>): string[] {
  const used = new Set<string>()
  return tensors.map(({ name }) => {
    const wanted = identifier(name)
    let word = wanted
    for (let i = 2; used.has(word) || reserved.has(word) || words.includes(` ${word} `); i++) word = `${wanted}_${i}`
    used.add(word)
    return word
  })
}

/** The template with names in their places. */
export const filled = (template: string, kernel: string, tensors: readonly Tensor[], names: readonly string[]): string =>
  template.replace(
    PLACES,
    (
      _,
      kind: string | undefined,
      number: string,
    ) => (kind === undefined ? kernel : kind === '.' ? tensors[Number(number)]!.name : names[Number(number)]!),
  )

/** The template, without remarks, with tensors by other numbers. `#` stands in no language that is printed: what is the same then differs in names alone. */
export const numbered = (template: string, numbers: ReadonlyMap<number, number>): string =>
  template.replace(PLACES, (_, __, number: string) => `#${numbers.get(Number(number))}`)
