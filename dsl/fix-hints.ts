import type { Parameter, Signature } from './signature.ts'
import type { Span } from './source.ts'
import { suggest } from '../bundle/nearest.ts'
import { ARGUMENTS_ELSEWHERE, type Translated, translateArgument } from './translate.ts'

/** A hint for an argument that a signature does not have. `value`: what it is given, as it is written. */
export function argumentMend(signature: Signature, name: string, value = ''): string {
  const own = signature.mends && Object.hasOwn(signature.mends, name) ? signature.mends[name] : undefined
  if (own !== undefined) return own
  const names = signature.parameters.map((p) => p.name)
  const known = new Set(signature.parameters.flatMap((p) => [p.name, ...(p.aliases ?? [])]))
  const meant = translateArgument(signature, name, value, new Map())
  if (meant) return translationMend(name, value, meant)
  const guess = ARGUMENTS_ELSEWHERE.get(name.toLowerCase())?.find((n) => known.has(n)) ?? suggest(name, known)
  if (guess !== undefined) return didYouMean(guess)
  const inner = signature.parameters.find(({ type }) =>
    type.kind === 'call' && type.calls.some((c) => c.parameters.some((p) => p.name === name || p.aliases?.includes(name)))
  )
  if (inner?.type.kind === 'call') {
    const call = inner.type.calls.find((c) => c.parameters.some((p) => p.name === name || p.aliases?.includes(name)))!
    return `${name} belongs to ${call.name}: \`${inner.name}: ${call.name}(${name}: ...)\``
  }
  return names.length === 0 ? `${signature.name} takes no arguments` : usage(signature)
}

/** The hint for a value that another framework spells otherwise: it names both where the value differs here too. */
function translationMend(name: string, value: string, meant: Translated): string {
  if ('behind' in meant) return `it is a layer of its own, behind this one: -> ${meant.behind}`
  const all = Object.entries(meant.named)
  const [first] = all
  if (!first) return `leave it out: ${name}${value ? `: ${value}` : ''} says nothing here that is not known`
  if (all.length === 1 && first[1] === value) return didYouMean(first[0])
  return `${name}: ${value} is \`${all.map(([own, text]) => `${own}: ${text}`).join(', ')}\` here`
}

const MOST_SHOWN = 6

/** `write conv(out, kernel, stride: 1, ...)` */
export function usage(signature: Signature): string {
  const parts = signature.parameters.map((p) => `${p.name}${p.default !== undefined ? `: ${showDefault(p)}` : p.optional ? ': ...' : ''}`)
  const shown = parts.length > MOST_SHOWN ? [...parts.slice(0, MOST_SHOWN - 1), '...'] : parts
  return `write ${signature.name}${shown.length > 0 ? `(${shown.join(', ')})` : ''}`
}

/** A square window is written as one number. */
function showDefault({ type, default: value }: Parameter): string {
  return type.kind === 'window' && Array.isArray(value) && value[0] === value[1] ? String(value[0]) : show(value)
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  if ('call' in value && 'args' in value) {
    const given = Object.entries(value.args as object).map(([name, argument]) => `${name}: ${show(argument)}`)
    return `${String(value.call)}${given.length > 0 ? `(${given.join(', ')})` : ''}`
  }
  if ('count' in value && 'unit' in value) return `${String(value.count)} ${String(value.unit)}`
  return '...'
}

export const didYouMean = (meant: string): string => `did you mean \`${meant}\`?`

/** A hint if one of `names` is near. */
export function nearest(wrong: string, names: Iterable<string>): string | undefined {
  const meant = suggest(wrong, names)
  return meant === undefined ? undefined : didYouMean(meant)
}

/** Whether a '[' stands right behind a value, as an index elsewhere: `x[0:2]`. */
export const isIndex = ({ source, start }: Pick<Span, 'source' | 'start'>): boolean => /[\w)\]]/.test(source.text.charAt(start - 1))

/** The hint for an index. */
export const PARTS = 'a part of a tensor is taken by a layer: slice(x, axis, from, to)'

/** The hint for another sign than `->`. */
export const ARROW = "layers are joined with '->'"
