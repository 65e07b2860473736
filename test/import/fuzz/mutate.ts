import { pick } from '../../ops/random.ts'
import { changeField } from './wire.ts'

type Random = () => number

const below = (r: Random, n: number): number => Math.floor(r() * n)
const concat = (...parts: Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** Numbers at the edges of what readers count in. */
const NUMBERS = [
  '0',
  '-1',
  '1',
  '2',
  '3',
  '7',
  '255',
  '65536',
  '1000000',
  '2147483647',
  '2147483648',
  '-2147483648',
  '4294967296',
  '9007199254740993',
  '99999999999999999999',
  '1e9',
  '1e38',
  '1e400',
  '-0',
  '0.5',
  '-1e-45',
  'nan',
  'inf',
  '0x10',
  '1_000',
  '',
]
/** Bytes that mean something to somebody. */
const WORDS = [
  '{',
  '}',
  '[',
  ']',
  ':',
  '=',
  '"',
  "'",
  '\\',
  '#',
  '\n',
  ',',
  '-',
  '\0',
  '\u{1F600}',
  'layer {',
  '[net]',
  '[route]\nlayers=-1\n',
  '[shortcut]\nfrom=-2\n',
  '__proto__',
  'constructor',
  'toString',
  'true',
  'NaN',
]

type Mutation = (bytes: Uint8Array, other: Uint8Array, r: Random) => Uint8Array

/** Changes of any file. */
const BYTES: readonly Mutation[] = [
  (bytes, _, r) => {
    const changed = bytes.slice()
    for (let n = 1 + below(r, 4); n > 0; n--) changed[below(r, changed.length)]! ^= 1 << below(r, 8)
    return changed
  },
  (bytes, _, r) => bytes.slice(0, below(r, bytes.length)),
  (bytes, _, r) => {
    const from = below(r, bytes.length)
    return concat(bytes.subarray(0, from), bytes.subarray(from + 1 + below(r, 40)))
  },
  (bytes, _, r) => {
    const from = below(r, bytes.length)
    const part = bytes.subarray(from, from + 1 + below(r, 200))
    return concat(bytes.subarray(0, from), ...Array.from({ length: 1 + below(r, 5) }, () => part), bytes.subarray(from))
  },
  (bytes, other, r) => {
    const [at, from] = [below(r, bytes.length), below(r, other.length)]
    return concat(bytes.subarray(0, at), other.subarray(from, from + 1 + below(r, 400)), bytes.subarray(at + below(r, 100)))
  },
  (bytes, other, r) => concat(bytes.subarray(0, below(r, bytes.length)), other.subarray(below(r, other.length))),
]

/** Changes of a text: numbers, words, lines. */
const TEXTS: readonly Mutation[] = [
  inText((text, r) => replaceOne(text, /-?\d+(\.\d+)?(e[+-]?\d+)?/gi, () => pick(r, NUMBERS), r)),
  inText((text, r) => replaceOne(text, /\d+/g, (digits) => String(Number(digits) + pick(r, [-1, 1, 2, -2, 10])), r)),
  inText((text, r) => replaceOne(text, /[A-Za-z_]+/g, () => pick(r, text.match(/[A-Za-z_]+/g) ?? ['x']), r)),
  inText((text, r) => {
    const at = below(r, text.length)
    return text.slice(0, at) + pick(r, WORDS) + text.slice(at)
  }),
  inText((text, r) => {
    const lines = text.split('\n')
    const [i, j] = [below(r, lines.length), below(r, lines.length)]
    switch (below(r, 3)) {
      case 0:
        lines.splice(i, 1 + below(r, 3))
        break
      case 1:
        lines.splice(j, 0, ...lines.slice(i, i + 1 + below(r, 8)))
        break
      default:
        ;[lines[i], lines[j]] = [lines[j]!, lines[i]!]
    }
    return lines.join('\n')
  }),
]

function inText(change: (text: string, r: Random) => string): Mutation {
  return (bytes, _, r) => new TextEncoder().encode(change(new TextDecoder().decode(bytes), r))
}

function replaceOne(text: string, form: RegExp, by: (found: string) => string, r: Random): string {
  const found = [...text.matchAll(form)]
  if (found.length === 0) return text
  const { index, 0: word } = pick(r, found)
  return text.slice(0, index) + by(word) + text.slice(index + word.length)
}

/** One to three changes of a file: of its bytes, and of what it is written in. */
export function mutate(bytes: Uint8Array, other: Uint8Array, kind: 'text' | 'wire' | 'bytes', r: Random): Uint8Array {
  const own: readonly Mutation[] = kind === 'text' ? TEXTS : kind === 'wire' ? [(file, _, random) => changeField(file, random)] : []
  let changed = bytes
  for (let n = pick(r, [1, 1, 1, 2, 3]); n > 0; n--) {
    if (changed.length === 0) break
    const list = own.length > 0 && r() < (kind === 'wire' ? 0.9 : 0.75) ? own : BYTES
    changed = pick(r, list)(changed, other, r)
  }
  return changed.subarray(0, 200_000)
}
