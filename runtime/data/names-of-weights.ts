import { InputError } from '../../bundle/errors.ts'
import type { InputEntry, ParameterEntry } from '../../bundle/format.ts'
import { withNamesOf } from './classes.ts'

/** Weights of a trained bundle that a net takes, and what the bundle learned beside them. */
export interface NamedWeights {
  /** The folder, for messages. */
  readonly from: string
  readonly inputs: readonly InputEntry[]
  /** Names of the parameters that the net takes of it. */
  readonly taken: ReadonlySet<string>
}

/**
 * The inputs of a net with the names that the bundle learned which its weights come from: names of classes where the parameters are taken that
 * score them, names of columns where the first parameters are. A fresh head is for other classes. Throws InputError where both name
 * the classes of a label, and the names or their order differ: every score would be called by another class's name.
 */
export function withNamesOfWeights(
  inputs: readonly InputEntry[],
  parameters: readonly ParameterEntry[],
  { from, inputs: others, taken }: NamedWeights,
): readonly InputEntry[] {
  const first = parameters[0] === undefined || taken.has(parameters[0].name)
  const labels = [inputs, others].map((all) => all.filter(({ classes }) => classes !== undefined))
  const known = others.map((input): InputEntry => {
    const own = inputs.find(({ name }) => name === input.name) ?? (labels.every(({ length }) => length === 1) ? labels[0]![0] : undefined)
    const { classNames, columns, ...rest } = input
    const named = classNames && own?.classes === input.classes && isHeadTaken(parameters, input.classes!, taken)
    if (named && own?.classNames && own.classNames.join('\n') !== classNames.join('\n'))
      throw new InputError(
        `the weights of ${from} are for other classes of ${own.name} than the net, or for another order:\n  ${from}: ${
          list(classNames)
        }\n  the net: ${list(own.classNames)}\nWrite input ${own.name}: class[${
          list(classNames.map((name) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name))))
        }]; or, for new classes, let the last layer start fresh: --partial --fresh LAYER.*; or, where they are the same classes under new names, take the weights without names: ${from}/weights.safetensors`,
      )
    return { ...rest, ...(own && { name: own.name }), ...(named && { classNames }), ...(first && columns && { columns }) }
  })
  return withNamesOf(inputs, known)
}

/** Whether all parameters of the last layer are taken that has as many outputs as there are classes. Where no layer has, there is none to be fresh. */
function isHeadTaken(parameters: readonly ParameterEntry[], classes: number, taken: ReadonlySet<string>): boolean {
  const layerOf = (name: string): string => name.slice(0, name.lastIndexOf('.'))
  const last = parameters.findLast(({ shape }) => shape[0] === classes)
  return last === undefined || parameters.every(({ name }) => layerOf(name) !== layerOf(last.name) || taken.has(name))
}

const MOST_TOLD = 12
const list = (names: readonly string[]): string =>
  names.slice(0, MOST_TOLD).join(', ') + (names.length > MOST_TOLD ? `, ... (${names.length})` : '')
