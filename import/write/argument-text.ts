import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import type { ArgumentType, Parameter, Signature } from '../../dsl/signature.ts'
import type { Argument, ArgumentCall } from '../model-net.ts'
import { Formula, type ItemArgument } from './item.ts'

const layers: ReadonlyMap<string, Signature> = new Map(vocabulary.layers.map((signature) => [signature.name, signature]))

export const signatureOf = (op: string): Signature | undefined => layers.get(op)

/** Arguments that are what another one is where they are left out: pools move by their window. */
const AS_ANOTHER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  max_pool: { stride: 'kernel' },
  avg_pool: { stride: 'kernel' },
  lp_pool: { stride: 'kernel' },
}

/** Arguments that may be left out, and are written without their names: pad(1). */
const BY_POSITION: Readonly<Record<string, string>> = { pad: 'size' }

/** Something that cannot be said in the language: the argument's name, and why. */
export class Unsayable extends Error {}

/**
 * The arguments of a call as they are written, in the order of its signature: what must be given by position, the rest by name, and what is
 * as it would be anyway not at all. Throws Unsayable.
 */
export function argumentTexts(signature: Signature, given: Readonly<Record<string, ItemArgument | undefined>>): string[] {
  const unknown = Object.keys(given).find((name) => given[name] !== undefined && !signature.parameters.some((p) => p.name === name))
  if (unknown !== undefined) throw new Unsayable(`${signature.name} has no argument ${unknown}`)
  const texts: string[] = []
  let byPosition = true
  const needed = signature.parameters.filter((p) => p.default === undefined && !p.optional)
  for (const parameter of signature.parameters) {
    const value = given[parameter.name]
    const isLeftOut = value === undefined || isDefault(parameter, value) || isAsAnother(signature, parameter.name, value, given)
    if (isLeftOut) {
      if (parameter.default === undefined && !parameter.optional) throw new Unsayable(`${signature.name} needs ${parameter.name}`)
      byPosition &&= parameter.named === true
      continue
    }
    const text = argumentText(parameter.type, value, `${parameter.name} of ${signature.name}`)
    // A name of one letter tells nothing: dropout(0.2).
    const isList = parameter.type.kind === 'numbers' && needed.length > 1
    const isSide = parameter.optional && parameter.type.kind === 'window'
    const isSpoken = parameter.default === undefined || parameter.name.length === 1 || BY_POSITION[signature.name] === parameter.name
    const isPlain = !parameter.named && !isList && !isSide && byPosition && isSpoken
    texts.push(isPlain ? text : `${parameter.name}: ${text}`)
    byPosition &&= isPlain
  }
  return texts
}

/** The values that an argument stands for, as text: 3 of a window is [3, 3]. */
function canonical(type: ArgumentType, value: unknown): string {
  if (type.kind === 'window' && typeof value === 'number') return JSON.stringify([value, value])
  if (type.kind === 'numbers' && typeof value === 'number') return JSON.stringify([value])
  if (type.kind === 'call' && typeof value === 'object' && value !== null) {
    const { call } = value as { call: string }
    const args = ((value as ArgumentCall).arguments ?? (value as { args?: object }).args ?? {}) as Record<string, unknown>
    const parameters = type.calls.find(({ name }) => name === call)?.parameters ?? []
    return JSON.stringify([call, parameters.map((p) => canonical(p.type, args[p.name] ?? p.default ?? null))])
  }
  if (type.kind === 'duration' && typeof value === 'number') return JSON.stringify({ count: value, unit: 'steps' })
  // Arithmetic is float32.
  if (type.kind === 'number' && typeof value === 'number') return String(Math.fround(value))
  return JSON.stringify(value)
}

function isDefault(parameter: Parameter, value: ItemArgument): boolean {
  if (value instanceof Formula || parameter.default === undefined) return false
  const [own, usual] = [canonical(parameter.type, value), canonical(parameter.type, parameter.default)]
  if (own === usual) return true
  // A list whose last number goes on has several forms: lr_mult: 1 and [1, 1].
  if (!parameter.name.endsWith('_mult')) return false
  return new Set([...(Array.isArray(value) ? value : [value]), ...(parameter.default as readonly number[])]).size === 1
}

function isAsAnother(
  signature: Signature,
  name: string,
  value: ItemArgument,
  given: Readonly<Record<string, ItemArgument | undefined>>,
): boolean {
  const other = AS_ANOTHER[signature.name]?.[name]
  const kernel = other === undefined ? undefined : given[other]
  if (kernel === undefined) return false
  if (value instanceof Formula || kernel instanceof Formula)
    return value instanceof Formula && kernel instanceof Formula && value.text === kernel.text
  return canonical({ kind: 'window' }, value) === canonical({ kind: 'window' }, kernel)
}

export function argumentText(type: ArgumentType, value: ItemArgument, what: string): string {
  if (value instanceof Formula) return value.text
  if (typeof value === 'number') return numberText(value, what)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return type.kind === 'string' ? quoted(value, what) : value
  if (!('call' in value)) {
    const [first] = value
    if (type.kind === 'window' && value.length === 2 && value.every((side) => side === first)) return numberText(first!, what)
    if (/^(lr|decay)_mult/.test(what) && value.length > 0 && value.every((one) => one === first)) return numberText(first!, what)
    return `[${value.map((one) => numberText(one, what)).join(', ')}]`
  }
  const signature = type.kind === 'call' ? type.calls.find(({ name }) => name === value.call) : undefined
  if (!signature) throw new Unsayable(`${what} cannot be ${value.call}`)
  // A lone number counts as one: bias_init: 0.1.
  if (value.call === 'constant' && signature.parameters.length === 1)
    return numberText(value.arguments[signature.parameters[0]!.name] as number, what)
  return callText(signature, value)
}

/** `moving(newest: 0.1)`, a bare `msra`. */
export function callText(signature: Signature, { arguments: given }: ArgumentCall): string {
  const texts = argumentTexts(signature, given)
  return texts.length === 0 ? signature.name : `${signature.name}(${texts.join(', ')})`
}

/** The shortest text that means the number: of a float32 the shortest that is rounded to it. Throws Unsayable for what is none. */
export function numberText(value: number, what: string): string {
  if (!Number.isFinite(value)) throw new Unsayable(`${what} is ${value}, and the language has finite numbers alone`)
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value === 0 ? 0 : value)
  const text = Math.fround(value) === value && !Number.isInteger(value) ? shortest(value) : String(value)
  return /^-?0\.000/.test(text) ? exponential(text) : text
}

function shortest(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)))
    if (Math.fround(Number(text)) === value) return text
  }
  return String(value)
}

/** 0.00001 -> 1e-5. */
const exponential = (text: string): string => Number(text).toExponential().replace('e+', 'e')

/** A text in quotes: the language has no way to write a quote or the end of a line within. */
export function quoted(text: string, what: string): string {
  if (/["\n\r]/.test(text)) throw new Unsayable(`${what} holds a quote or the end of a line, which a text in quotes cannot`)
  return `"${text}"`
}

/** Arguments as JSON, for what compares them. */
export const argumentKey = (value: ItemArgument | Argument): string => (value instanceof Formula ? `=${value.text}` : JSON.stringify(value))
