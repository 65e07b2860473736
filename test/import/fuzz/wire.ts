import { pick } from '../../ops/random.ts'

/** A field of a message in protobuf's wire format: where its tag, its value and its end lie. */
interface Field {
  readonly from: number
  readonly value: number
  readonly to: number
  readonly type: number
  /** Ends of the length-delimited fields around it, outermost first: where the length stands and how long the content is. */
  readonly around: readonly { readonly at: number; readonly value: number; readonly to: number }[]
}

/** Changes one field, wherever it lies: its number, its value, its length; takes it out or writes it twice. Lengths around it are kept right, mostly. */
export function changeField(bytes: Uint8Array, r: () => number): Uint8Array {
  const fields = fieldsIn(bytes, 0, bytes.length, [], [])
  if (fields.length === 0) return bytes
  const field = pick(r, fields)
  const tag = [...bytes.subarray(field.from, field.value)]
  const value = [...bytes.subarray(field.value, field.to)]
  const changed = pick(r, [
    () => [],
    () => [...tag, ...value, ...tag, ...value],
    () => [...tag, ...changedValue(field.type, value, r)],
    () => [...tag, ...changedValue(field.type, value, r)],
    () => [...tag, ...changedValue(field.type, value, r)],
    () => [tag[0]! ^ (1 << (3 + Math.floor(r() * 4))), ...tag.slice(1), ...value],
  ])()
  let result = [...bytes.subarray(0, field.from), ...changed, ...bytes.subarray(field.to)]
  let grown = changed.length - (field.to - field.from)
  if (r() < 0.03) return Uint8Array.from(result)
  // Innermost first: each length grows by what is in it.
  for (const { at, value: begins, to } of [...field.around].reverse()) {
    const length = varint(BigInt(Math.max(0, to - begins + grown)))
    result = [...result.slice(0, at), ...length, ...result.slice(begins)]
    grown += length.length - (begins - at)
  }
  return Uint8Array.from(result)
}

function changedValue(type: number, value: readonly number[], r: () => number): number[] {
  if (type === 0)
    return varint(
      pick(r, [
        0n,
        1n,
        2n,
        3n,
        7n,
        127n,
        255n,
        65536n,
        2n ** 31n - 1n,
        2n ** 31n,
        2n ** 32n,
        2n ** 63n - 1n,
        2n ** 64n - 1n,
        2n ** 64n - 2n,
      ]),
    )
  if (type !== 2) return value.map(() => pick(r, [0, 255, 127, 128, 63]))
  const content = value.slice(lengthSize(value))
  const at = Math.floor(r() * content.length)
  const other = pick(r, [
    () => [],
    () => content.slice(0, at),
    () => [...content, ...content],
    () => [...content.slice(0, at), Math.floor(r() * 256), ...content.slice(at + 1)],
    () => [...new TextEncoder().encode(pick(r, ['Conv', 'Reshape', 'x', '', '__proto__', 'Constant', '\u{1F600}', '../x']))],
  ])()
  // A length that is wrong, at times.
  return [...(r() < 0.05 ? varint(pick(r, [0n, 2n ** 31n, 2n ** 40n, BigInt(other.length + 1)])) : varint(BigInt(other.length))), ...other]
}

const lengthSize = (value: readonly number[]): number => value.findIndex((byte) => byte < 128) + 1

function varint(n: bigint): number[] {
  const bytes: number[] = []
  let rest = n
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return [...bytes, Number(rest)]
}

/** All fields between two places, with those of messages in them; what is no message is a value. */
function fieldsIn(bytes: Uint8Array, from: number, to: number, around: Field['around'], found: Field[]): Field[] {
  const begins = found.length
  let at = from
  while (at < to) {
    const tag = readVarint(bytes, at, to)
    if (!tag || tag.n >> 3 === 0) break
    const type = tag.n & 7
    const length = type === 2 ? readVarint(bytes, tag.next, to) : undefined
    const end = type === 0 ? readVarint(bytes, tag.next, to)?.next
      : type === 1 ? tag.next + 8 : type === 5 ? tag.next + 4 : length && length.next + length.n
    if (end === undefined || end > to) break
    found.push({ from: at, value: tag.next, to: end, type, around })
    if (length && around.length < 8) fieldsIn(bytes, length.next, end, [...around, { at: tag.next, value: length.next, to: end }], found)
    at = end
  }
  // Texts and numbers look like the beginning of a message; they are none.
  if (at !== to) found.length = begins
  return found
}

function readVarint(bytes: Uint8Array, from: number, to: number): { n: number; next: number } | undefined {
  let n = 0
  for (let i = 0; i < 5 && from + i < to; i++) {
    n += (bytes[from + i]! & 127) * 2 ** (7 * i)
    if (bytes[from + i]! < 128) return { n, next: from + i + 1 }
  }
  return undefined
}
