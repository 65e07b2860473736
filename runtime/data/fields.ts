import { InputError } from '../../bundle/errors.ts'
import type { InputEntry } from '../../bundle/format.ts'
import { elementCount, showShape } from '../../bundle/sizes.ts'
import type { Dataset, Field } from './dataset.ts'

/**
 * The field of the dataset that feeds each input: the one of its name, else the only one left of its type and shape (a dataset says
 * `image`, a net may say `x`). A field may be flat where the input is shaped, and the other way round; any other difference is refused.
 */
export function fieldsFor(inputs: readonly InputEntry[], dataset: Dataset): Map<string, string> {
  const found = new Map<string, string>()
  for (const input of inputs) if (Object.hasOwn(dataset.fields, input.name)) found.set(input.name, input.name)
  for (const input of inputs) {
    if (found.has(input.name)) continue
    const taken = new Set(found.values())
    const left = Object.keys(dataset.fields).filter((name) => !taken.has(name) && problem(input, dataset.fields[name]!) === undefined)
    if (left.length === 1) found.set(input.name, left[0]!)
  }
  const wrong: string[] = []
  for (const input of inputs) {
    const name = found.get(input.name)
    if (name !== undefined) {
      const why = problem(input, dataset.fields[name]!)
      if (why !== undefined)
        wrong.push(`its ${describeField(name, dataset.fields[name]!)} does not fit ${describe(input)}${why && `: ${why}`}`)
      continue
    }
    const taken = new Set(found.values())
    const near = Object.keys(dataset.fields).filter((other) =>
      !taken.has(other) && dataset.fields[other]!.type === input.type &&
      elementCount(dataset.fields[other]!.shape) === elementCount(input.shape)
    )
    const why = near.length === 1 ? problem(input, dataset.fields[near[0]!]!) : undefined
    wrong.push(`nothing in it fits ${describe(input)}${why ? `: ${near[0]} is ${showShape(dataset.fields[near[0]!]!.shape)}, ${why}` : ''}`)
  }
  if (wrong.length)
    throw new InputError(
      `this dataset does not fit the net: ${wrong.join('; ')} (it holds ${
        Object.entries(dataset.fields).map(([n, f]) => describeField(n, f)).join(', ')
      })`,
    )
  return found
}

/** Why a field cannot feed an input: in words, or '' where both speak for themselves. Undefined: it can. */
function problem(input: InputEntry, field: Field): string | undefined {
  if (input.shape[0] !== 'n') return 'the input has no batch, so no sample of a dataset is meant for it'
  if (field.type !== input.type) return ''
  const wanted = input.shape.slice(1) as number[]
  const shape = shapeProblem(field.shape, wanted)
  const { classes } = input
  if (shape !== undefined && classes !== undefined && wanted.length === 0 && field.shape.length === 1 && field.shape[0] === classes)
    return `a label is the number of its class, 0 to ${classes - 1}; of one-hot rows it is the place of the 1`
  if (shape !== undefined) return shape
  // Names are matched by name (`matchClasses`), which tells more than their number.
  if (field.classNames) return undefined
  return input.classes !== undefined && field.classes !== undefined && field.classes > input.classes
    ? `labels up to ${field.classes - 1} where the net has ${input.classes} classes` : undefined
}

/** Why numbers of one shape are not numbers of another. One of the two may be flat: that says nothing of the order. */
export function shapeProblem(given: readonly number[], wanted: readonly number[]): string | undefined {
  if (given.length === wanted.length && given.every((dim, i) => dim === wanted[i])) return undefined
  if (elementCount(given) !== elementCount(wanted)) return ''
  if (given.length <= 1 || wanted.length <= 1) return undefined
  const same = (order: readonly number[]): boolean => given.length === wanted.length && order.every((axis, i) => given[axis] === wanted[i])
  if (given.length === 3 && same([2, 0, 1]))
    return `it is in the order height, width, channels, the net takes channels first: transpose it to ${showShape(wanted)}`
  if (given.length === 3 && same([1, 2, 0]))
    return `it has channels first, the net takes channels last: transpose it to ${showShape(wanted)}`
  if (given.length >= 2 && same([...given.keys()].slice(0, -2).concat(given.length - 1, given.length - 2)))
    return `height and width are exchanged: transpose it to ${showShape(wanted)}`
  const squeezed = (shape: readonly number[]): string => shape.filter((dim) => dim !== 1).join(' ')
  if (squeezed(given) === squeezed(wanted))
    return `write its shape as ${showShape(wanted)}, or input ${showShape(given)} -> reshape(${showShape(wanted)})`
  return 'as many numbers in another shape: they would be read in the wrong order'
}

const describe = (input: InputEntry): string =>
  `input ${input.name}: ${input.classes === undefined ? input.type : `class[${input.classes}]`} ${showShape(input.shape)}`
const describeField = (name: string, field: Field): string =>
  `${name}: ${field.classes === undefined ? field.type : `class[${field.classes}]`} ${showShape(field.shape)}`
