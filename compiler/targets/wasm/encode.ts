import { type LaneOp, laneCode, memoryCode, type MemoryLaneOp, memoryLaneCode, type MemoryOp, type PlainOp, plainCode, SHUFFLE, SIMD_PREFIX,
  VECTOR_CONSTANT } from './opcodes.ts'

import { RELAXED_SECTION } from '../../../bundle/format.ts'

/*
 * The binary format of WebAssembly, as far as kernels need it: a few hundred lines instead of megabytes, so that a page can
 * compile nets too.
 */

export type ValueType = 'i32' | 'f32' | 'v128'

const TYPE_BYTE: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b }
const EMPTY = 0x40
const TEE = 0x22

/** Bytes that are being written: they grow in place. */
class ByteWriter {
  private buffer = new Uint8Array(256)
  length = 0

  /** What was written so far, until more is. */
  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  /** Has place for so many more. */
  private reserve(more: number): void {
    if (this.length + more <= this.buffer.length) return
    const grown = new Uint8Array(Math.max(2 * this.buffer.length, this.length + more))
    grown.set(this.bytes)
    this.buffer = grown
  }

  push(byte: number): void {
    if (this.length === this.buffer.length) this.reserve(1)
    this.buffer[this.length++] = byte
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** LEB128. */
  unsigned(value: number): void {
    let rest = value >>> 0
    while (rest >= 0x80) {
      this.push(rest & 0x7f | 0x80)
      rest >>>= 7
    }
    this.push(rest)
  }

  /** LEB128. */
  signed(value: number): void {
    let rest = value
    for (;;) {
      const byte = rest & 0x7f
      rest >>= 7
      if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return this.push(byte)
      this.push(byte | 0x80)
    }
  }
}

/** Instructions that are being written, in the order in which they run. */
export class Code {
  private readonly out = new ByteWriter()
  /** Constants are written in full: V8 joins equal constants where it does not see that what fills all lanes is equal (Node 24). */
  private readonly inFull: boolean
  /** Where the multiplications and additions of `multiplyAdd` stand in `bytes`, in order: see RELAXED_SECTION. */
  readonly fused: number[] = []
  /** Functions that it calls. */
  readonly calls = new Set<number>()
  /** The last `set`: where it starts and ends, and its local. */
  private lastSet = { from: -1, to: -1, local: -1 }

  constructor({ inFull = false }: { readonly inFull?: boolean } = {}) {
    this.inFull = inFull
  }

  get bytes(): Uint8Array {
    return this.out.bytes
  }

  op(op: PlainOp): this {
    this.out.append(plainBytes(op))
    return this
  }

  /** a * b + c in four lanes: a and b lie on the stack, `addend` writes c. Engines with relaxed SIMD make one instruction of it. */
  multiplyAdd(addend: () => void): this {
    this.fused.push(this.out.length)
    this.op('f32x4.mul')
    addend()
    this.fused.push(this.out.length)
    return this.op('f32x4.add')
  }

  i32(value: number): this {
    this.out.push(0x41)
    this.out.signed(value | 0)
    return this
  }

  f32(value: number): this {
    this.out.push(0x43)
    this.out.append(floatBytes(value))
    return this
  }

  f32x4(...lanes: readonly [number, number, number, number]): this {
    const [first] = lanes
    // Seven bytes instead of eighteen: engines make the same of both. A NaN would lose its bits.
    if (!this.inFull && lanes.every((lane) => Object.is(lane, first)) && !Number.isNaN(first)) return this.f32(first).op('f32x4.splat')
    this.out.push(SIMD_PREFIX)
    this.out.push(VECTOR_CONSTANT)
    for (const lane of lanes) this.out.append(floatBytes(lane))
    return this
  }

  i32x4(...lanes: readonly [number, number, number, number]): this {
    if (lanes.every((lane) => lane === lanes[0])) return this.i32(lanes[0]).op('i32x4.splat')
    this.out.push(SIMD_PREFIX)
    this.out.push(VECTOR_CONSTANT)
    this.out.append(new Uint8Array(new Int32Array(lanes).buffer))
    return this
  }

  get(local: number): this {
    // What was just put into a local stays on the stack as well.
    const { from, to } = this.lastSet
    if (this.lastSet.local === local && to === this.out.length) {
      this.out.bytes[from] = TEE
      this.lastSet = { from: -1, to: -1, local: -1 }
      return this
    }
    return this.indexed(0x20, local)
  }

  set(local: number): this {
    const from = this.out.length
    this.indexed(0x21, local)
    this.lastSet = { from, to: this.out.length, local }
    return this
  }

  tee(local: number): this {
    return this.indexed(TEE, local)
  }

  /** A number of 64 bits that 31 are enough for. */
  i64(value: number): this {
    this.out.push(0x42)
    this.out.signed(value | 0)
    return this
  }

  call(fn: number): this {
    this.calls.add(fn)
    return this.indexed(0x10, fn)
  }

  /** Through table 0. */
  callIndirect(type: number): this {
    this.indexed(0x11, type)
    this.out.push(0)
    return this
  }

  /** An address lies on the stack; `offset` bytes are added to it. */
  memory(op: MemoryOp, offset = 0): this {
    const [prefix, code, alignment] = memoryCode(op)
    if (prefix) this.out.push(prefix)
    this.out.push(code)
    this.out.push(alignment)
    this.out.unsigned(offset)
    return this
  }

  memoryLane(op: MemoryLaneOp, lane: number, offset = 0): this {
    this.out.push(SIMD_PREFIX)
    this.out.push(memoryLaneCode(op))
    this.out.push(2)
    this.out.unsigned(offset)
    this.out.push(lane)
    return this
  }

  lane(op: LaneOp, lane: number): this {
    this.out.push(SIMD_PREFIX)
    this.out.push(laneCode(op))
    this.out.push(lane)
    return this
  }

  /** Four lanes out of two vectors: 0..3 of the lower one, 4..7 of the one on top. */
  shuffle(...lanes: readonly [number, number, number, number]): this {
    this.out.push(SIMD_PREFIX)
    this.out.push(SHUFFLE)
    for (const lane of lanes) for (let i = 0; i < 4; i++) this.out.push(4 * lane + i)
    return this
  }

  /** Yes, no and a condition lie on the stack. */
  selectOf(type: ValueType): this {
    this.out.push(0x1c)
    this.out.push(1)
    this.out.push(TYPE_BYTE[type])
    return this
  }

  block(): this {
    this.out.push(0x02)
    this.out.push(EMPTY)
    return this
  }

  loop(): this {
    this.out.push(0x03)
    this.out.push(EMPTY)
    return this
  }

  if(): this {
    this.out.push(0x04)
    this.out.push(EMPTY)
    return this
  }

  else(): this {
    this.out.push(0x05)
    return this
  }

  end(): this {
    this.out.push(0x0b)
    return this
  }

  br(depth: number): this {
    return this.indexed(0x0c, depth)
  }

  brIf(depth: number): this {
    return this.indexed(0x0d, depth)
  }

  private indexed(code: number, index: number): this {
    this.out.push(code)
    this.out.unsigned(index)
    return this
  }
}

export interface FunctionType {
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

export interface WasmFunction {
  readonly type: FunctionType
  /** Beyond the parameters. */
  readonly locals: readonly ValueType[]
  readonly code: Code
}

export interface WasmModule {
  readonly functions: readonly WasmFunction[]
  /** Types that are called through the table; `typeIndex` counts these first. */
  readonly types: readonly FunctionType[]
  readonly table: WasmTable
  readonly exports: readonly { readonly name: string; readonly function: number }[]
  /** Pages of 64 KiB that `env.memory`, which is imported and shared, may have. */
  readonly maxPages: number
}

/** The one table: `kernels`, which a module exports, or imports as `env.kernels`. */
export interface WasmTable {
  readonly isImported: boolean
  readonly size: number
  /** Functions that this module puts into it, each row from `first` on. */
  readonly rows: readonly { readonly first: number; readonly functions: readonly number[] }[]
}

const TABLE = 'kernels'

export function encodeModule({ functions, types: called, table, exports, maxPages }: WasmModule): Uint8Array {
  const types: FunctionType[] = [...called]
  const typeKey = (t: FunctionType): string => `${t.params}>${t.results}`
  const typeIndex = (t: FunctionType): number => {
    const known = types.findIndex((other) => typeKey(other) === typeKey(t))
    return known >= 0 ? known : types.push(t) - 1
  }
  const ofFunctions = functions.map((f) => typeIndex(f.type))
  const parts: Bytes[] = []
  const section = (id: number, body: Bytes): void => {
    parts.push([id], leb(body.length), body)
  }
  const memory = [...name('env'), ...name('memory'), 2, 3, ...leb(1), ...leb(maxPages)]
  const limits = [0x70, 1, ...leb(table.size), ...leb(table.size)]
  section(
    1,
    vector(types.map((t) => [0x60, ...vector(t.params.map((p) => [TYPE_BYTE[p]])), ...vector(t.results.map((r) => [TYPE_BYTE[r]]))])),
  )
  section(2, vector(table.isImported ? [memory, [...name('env'), ...name(TABLE), 1, ...limits]] : [memory]))
  section(3, vector(ofFunctions.map(leb)))
  if (!table.isImported) section(4, vector([limits]))
  section(
    7,
    vector([...exports.map((e) => [...name(e.name), 0, ...leb(e.function)]), ...(table.isImported ? [] : [[...name(TABLE), 1, 0]])]),
  )
  section(9, vector(table.rows.map(({ first, functions }) => [0, 0x41, ...signedLeb(first), 0x0b, ...vector(functions.map(leb))])))
  const bodies = functions.map((f) => {
    const locals = vector(runs(f.locals).map(({ type, count }) => [...leb(count), TYPE_BYTE[type]]))
    return joined([leb(locals.length + f.code.bytes.length + 1), locals, f.code.bytes, [0x0b]])
  })
  const code = vector(bodies)
  const before = parts.reduce((sum, { length }) => sum + length, 1 + leb(code.length).length + leb(bodies.length).length)
  section(10, code)
  return joined([[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], relaxedSection(functions, bodies, before), ...parts])
}

/**
 * A custom section in front of all others: where the instructions of every `multiplyAdd` start, each as its distance from the one before, the
 * first from the end of the section. A host whose engine has relaxed SIMD writes three `nop` over a multiplication and `f32x4.relaxed_madd`
 * over an addition: all of them take three bytes, so one file serves every engine. `from`: of the first body, behind the section.
 */
function relaxedSection(functions: readonly WasmFunction[], bodies: readonly Bytes[], from: number): Bytes {
  const distances = new ByteWriter()
  let last = 0
  let start = from
  functions.forEach(({ code }, i) => {
    const body = start + bodies[i]!.length - code.bytes.length - 1
    for (const at of code.fused) {
      distances.unsigned(body + at - last)
      last = body + at
    }
    start += bodies[i]!.length
  })
  if (distances.length === 0) return []
  const content = joined([name(RELAXED_SECTION), distances.bytes])
  return joined([[0], leb(content.length), content])
}

type Bytes = ArrayLike<number>

function joined(parts: readonly Bytes[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

function runs(locals: readonly ValueType[]): { type: ValueType; count: number }[] {
  const found: { type: ValueType; count: number }[] = []
  for (const type of locals) {
    const last = found.at(-1)
    if (last?.type === type) last.count++
    else found.push({ type, count: 1 })
  }
  return found
}

const name = (text: string): Uint8Array => vector([...new TextEncoder().encode(text)].map((byte) => [byte]))

const vector = (items: readonly Bytes[]): Uint8Array => joined([leb(items.length), ...items])

function signedLeb(value: number): Uint8Array {
  const out = new ByteWriter()
  out.signed(value)
  return out.bytes
}

function leb(value: number): Uint8Array {
  const out = new ByteWriter()
  out.unsigned(value)
  return out.bytes
}

const bytesOfOp = new Map<PlainOp, Uint8Array>()

function plainBytes(op: PlainOp): Uint8Array {
  let bytes = bytesOfOp.get(op)
  if (!bytes) {
    const { prefix, code } = plainCode(op)
    bytesOfOp.set(op, bytes = prefix ? joined([[SIMD_PREFIX], leb(code)]) : Uint8Array.of(code))
  }
  return bytes
}

const float = new Float32Array(1)
const bytesOfFloat = new Uint8Array(float.buffer)

function floatBytes(value: number): Uint8Array {
  float[0] = value
  return bytesOfFloat
}
