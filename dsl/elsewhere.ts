import type { Call, Expression } from './ast.ts'
import { didYouMean } from './fix-hints.ts'
import type { Signature, Synonym } from './signature.ts'
import { textOf } from './source.ts'
import { editDistance, suggest } from '../bundle/nearest.ts'
import { type Given, translateArgument } from './translate.ts'

/*
 * A call by the name that it has in another framework: `InnerProduct`, `Conv2d`, `relu6`. The hint is what to write here, arguments
 * and all, since the same word may stand for another number there.
 */

type Arguments = Pick<Call, 'positional' | 'named'> & { readonly as?: Call['as'] }
type Called = Arguments & Pick<Call, 'callee'>

export interface Found {
  readonly signature: Signature
  readonly synonym: Synonym
  /** The call is of a sequence, which is a map of one row here. */
  readonly rows?: boolean
}

/** A name without case and underscores, which tell few names apart. */
const plain = (word: string): string => word.toLowerCase().replaceAll('_', '')

/** Synonyms of a word: those that are spelled so, else those that differ in case and underscores alone. */
export function synonymsOf(word: string, signatures: Iterable<Signature>): readonly Found[] {
  const near: Found[] = []
  for (const signature of signatures) {
    for (const synonym of signature.elsewhere ?? []) if (plain(synonym.name) === plain(word)) near.push({ signature, synonym })
  }
  const exact = near.filter(({ synonym }) => synonym.name === word)
  return exact.length > 0 ? exact : near
}

/** The framework of names that are no framework's own. */
export const ANYBODY = 'others'

/** `MaxPool1d`, `Conv1DTranspose`, `max_pool3d`: a layer of maps has a 2 there. */
const OTHER_RANK = /^(.*[a-z_])([13])(d.*)$/i

/** The arguments of a window over maps of one row, by the one number that is given for a sequence. */
const ROWS: Readonly<Record<string, (length: string) => string>> = {
  kernel: (n) => `[1, ${n}]`,
  stride: (n) => `[1, ${n}]`,
  dilation: (n) => `[1, ${n}]`,
  factor: (n) => `[1, ${n}]`,
  pad: (n) => `[0, ${n}]`,
  output_pad: (n) => `[0, ${n}]`,
  size: (n) => `[0, 0, ${n}, ${n}]`,
}

/** Shorter names of others are too near to everything. */
const LEAST_LETTERS = 6
/** Names of others that are farther away mean something else: a softmax is no sigmoid. */
const MOST_SLIPS = 2

/** A hint for a call that there is not: what it is called here, or what was likely meant. `names`: all that can be called. */
export function callMend(
  call: Called,
  signatures: Iterable<Signature>,
  names: Iterable<string>,
  isTensor: (e: Expression) => boolean = () => false,
): string | undefined {
  const all = [...signatures]
  const word = call.callee.text
  const own = [...names]
  const synonyms = synonymsOf(word, all)
  // `batchnorm` is ours but for its spelling; `BatchNorm` is Caffe's.
  const ours = synonyms.some(({ synonym }) => synonym.name === word) ? undefined : own.find((name) => plain(name) === plain(word))
  if (ours !== undefined) return didYouMean(ours)
  const found = choose(synonyms, call, isTensor)
  const [, front, rank, end] = OTHER_RANK.exec(word) ?? []
  // The table tells more of a bare `Conv1d`.
  const isTold = found && (found.synonym.none === undefined || call.positional.length + call.named.length === 0)
  const ofMaps = rank && !isTold ? choose(synonymsOf(`${front}2${end}`, all), call, isTensor) : undefined
  if (ofMaps && rank === '1') return toldOfRows(ofMaps, call, isTensor, all)
  if (found) return told(found, call, isTensor, all)
  if (ofMaps) return `there are layers of maps, [channels, height, width], alone, and no ${word}`
  const others = all.flatMap(({ elsewhere = [] }) => elsewhere.map(({ name }) => name)).filter((name) => name.length >= LEAST_LETTERS)
  const meant = suggest(word, [...own, ...others.filter((name) => editDistance(plain(word), plain(name), MOST_SLIPS) <= MOST_SLIPS)])
  if (meant === undefined) return undefined
  const other = own.includes(meant) ? undefined : choose(synonymsOf(meant, all), call, isTensor)
  return other ? told(other, call, isTensor, all) : didYouMean(meant)
}

/**
 * A hint for a call by its own name with more arguments by position than it takes: another framework's layer takes as many, in an order of its own.
 * `call`: without its tensors.
 */
export function orderMend(signature: Signature, call: Arguments): string | undefined {
  const isWord = call.positional.some(({ kind }) => kind === 'string' || kind === 'call')
  const found = (signature.elsewhere ?? []).filter(({ positions = [] }) => positions.length >= call.positional.length)
    .toSorted((a, b) => a.positions!.length - b.positions!.length)
  const synonym = found.find(({ of }) => of === (isWord ? 'Keras' : 'PyTorch')) ?? found[0]
  return synonym && told({ signature, synonym }, call, () => false, [signature])
}

/** The meaning of a word that several frameworks have: the first that takes as many arguments by position. */
function choose(found: readonly Found[], call: Arguments, isTensor: (e: Expression) => boolean): Found | undefined {
  const count = call.positional.length - tensorsOf(call, isTensor)
  return found.find(({ synonym }) => count >= (synonym.least ?? 0)) ?? found.at(-1)
}

function tensorsOf({ positional }: Arguments, isTensor: (e: Expression) => boolean): number {
  const first = positional.findIndex((e) => !isTensor(e))
  return first < 0 ? positional.length : first
}

function told(
  found: Found,
  call: Arguments,
  isTensor: (e: Expression) => boolean,
  signatures: readonly Signature[],
): string {
  const { name, of, none, write, note } = found.synonym
  if (none !== undefined) return none
  const { text, lost } = write === undefined ? translated(found, call, isTensor, signatures) : { text: write, lost: [] }
  const more = [...(lost.length > 0 ? [`without counterpart: ${lost.join(', ')}`] : []), ...(note === undefined ? [] : [note])]
  return `${name}${of === ANYBODY ? '' : ` (${of})`} is \`${text}\` here${more.map((m) => `; ${m}`).join('')}`
}

/** The same of a layer of sequences, which has the name of one of maps with a 1 for the 2. */
function toldOfRows({ signature, synonym }: Found, ...of: [Arguments, (e: Expression) => boolean, readonly Signature[]]): string {
  const named = { ...synonym, name: synonym.name.replace('2', '1') }
  return `${told({ signature, synonym: named, rows: true }, ...of)}; sequences are maps of one row here, [channels, 1, length]`
}

const written = ({ span }: { span: Expression['span'] }): string => textOf(span).replace(/\s+/g, ' ')

/** A call as it is written here, and its arguments that have no counterpart. */
function translated(
  { signature: first, synonym, rows }: Found,
  call: Arguments,
  isTensor: (e: Expression) => boolean,
  signatures: readonly Signature[],
): { text: string; lost: string[] } {
  const count = tensorsOf(call, isTensor)
  const rest = call.positional.slice(count)
  const positions = synonym.positions ?? first.parameters.filter((p) => !p.named).map((p) => p.name)
  const lost: string[] = []
  const given = new Map<string, string>()
  rest.forEach((e, i) => {
    if (positions[i] === undefined) lost.push(written(e))
    else given.set(positions[i], written(e))
  })
  for (const { name, value } of call.named) given.set(name.text, written(value))
  const as = synonym.as?.(given)
  const signature = (as !== undefined && signatures.find((s) => s.name === as)) || first
  const has = (parameter: string): boolean => signature.parameters.some((p) => p.name === parameter)
  const found = new Map<string, string>()
  const behind: string[] = []
  for (const [name, value] of given) {
    const to = translateArgument(signature, name, value, given, synonym)
    if (to === undefined) lost.push(name)
    // Whatever order they are given in, what normalizes comes before what activates.
    else if ('behind' in to) behind[to.behind === 'batch_norm' ? 'unshift' : 'push'](to.behind)
    else for (const [own, text] of Object.entries(to.named)) found.set(own, text)
  }
  for (const [name, value] of Object.entries(synonym.defaults ?? {})) if (!found.has(name) && has(name)) found.set(name, value)
  if (rows) {
    for (const [name, value] of found) if (Object.hasOwn(ROWS, name) && /^\d+$/.test(value)) found.set(name, ROWS[name]!(value))
  }
  const tensors = call.positional.slice(0, count).map(written)
  const name = call.as ? ` as ${textOf(call.as.span).replace(/^as\s+/, '')}` : ''
  return { text: `${callText(signature, found, tensors)}${name}${behind.map((layer) => ` -> ${layer}`).join('')}`, lost }
}

/** `conv(64, 3, stride: 2)`: what must be given by position, the rest by name; what must be given and is not stands there by its name. */
function callText(signature: Signature, given: Given, tensors: readonly string[]): string {
  const parts = [...tensors]
  let byPosition = true
  for (const { name: parameter, named, default: otherwise, optional } of signature.parameters) {
    const value = given.get(parameter)
    const required = otherwise === undefined && !optional
    byPosition &&= required && !named
    if (value !== undefined) parts.push(byPosition ? value : `${parameter}: ${value}`)
    else if (required) parts.push(byPosition ? parameter : `${parameter}: ...`)
  }
  return parts.length > 0 ? `${signature.name}(${parts.join(', ')})` : signature.name
}
