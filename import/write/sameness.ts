import type { Parameter } from '../../dsl/signature.ts'
import type { Argument } from '../model-net.ts'
import { signatureOf } from './argument-text.ts'
import { LayerNames, ownsParameters } from './layer-names.ts'
import type { Part } from './parts.ts'

/** Arguments by name with the defaults of numbers filled in, a window of equal sides as one number: what equal layers are compared by. */
export function plainArguments(part: Part): Readonly<Record<string, Argument>> {
  const { layer } = part
  if (!layer) return {}
  const parameters = signatureOf(layer.op)?.parameters ?? []
  const all: Record<string, Argument> = {}
  for (const parameter of parameters) {
    const given = layer.arguments[parameter.name] ?? defaultOf(parameter)
    if (given !== undefined) all[parameter.name] = plainWindow(parameter, given)
  }
  return all
}

function defaultOf({ type, default: usual }: Parameter): Argument | undefined {
  return ['integer', 'number', 'window', 'numbers', 'word', 'boolean'].includes(type.kind) ? usual as Argument | undefined : undefined
}

const plainWindow = ({ type }: Parameter, value: Argument): Argument =>
  type.kind === 'window' && Array.isArray(value) && value.length > 0 && value.every((side) => side === value[0]) ? value[0] as number
    : value

/** Whether an argument may be a parameter of a block: numbers may. */
export const isVariable = (value: Argument): boolean => typeof value === 'number' || (Array.isArray(value) && value.length > 0)

/** The names of the parts of one body; undefined for those that own nothing. */
export function namesWithin(parts: readonly Part[]): (string | undefined)[] {
  const names = new LayerNames()
  return parts.map((part) => {
    if (part.layer && !ownsParameters(part.layer)) return undefined
    return names.give(part.layer?.op ?? part.parts![0]!.layer?.op ?? 'block', part.path.filter((step) => step !== ''))
  })
}

/** Writes equal keys for parts that could be calls of one block, whatever their numbers and their own names. */
export class Kinds {
  private readonly keys = new Map<Part, string>()

  key(part: Part): string {
    const known = this.keys.get(part)
    if (known !== undefined) return known
    const key = part.parts ? this.ofRegion(part) : ofLayer(part)
    this.keys.set(part, key)
    return key
  }

  private ofRegion(part: Part): string {
    const parts = part.parts!
    const values = new Map(part.inputs.map((value, i) => [value, `<${i}`]))
    parts.forEach(({ output }, i) => values.set(output, String(i)))
    const names = namesWithin(parts)
    const written = parts.map((one, i) => [
      this.key(one),
      names[i] ?? '',
      one.inputs.map((input) => (typeof input === 'string' ? values.get(input)! : `=${input}`)),
    ])
    return JSON.stringify([written, values.get(part.output)])
  }
}

function ofLayer(part: Part): string {
  const args = Object.entries(plainArguments(part)).map(([name, value]) => [name, isVariable(value) ? '#' : value])
  return JSON.stringify([part.layer!.op, args])
}
