import { type LaneOp, laneCode, memoryCode, type MemoryLaneOp, memoryLaneCode, type MemoryOp, type PlainOp, plainCode, SHUFFLE, SIMD_PREFIX,
  VECTOR_CONSTANT } from './opcodes.ts'

/*
 * The binary format of WebAssembly, as far as kernels need it: a few hundred lines instead of megabytes, so that a page can
 * compile nets too.
 */

export type ValueType = 'i32' | 'f32' | 'v128'

const TYPE_BYTE: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b }
const EMPTY = 0x40
/** A prefix, and a code of two bytes: multiplication and addition in four lanes take as many as the two in one. */
const VECTOR_OP_BYTES = 3

/** Instructions that are being written, in the order in which they run. */
export class Code {
  readonly bytes: number[] = []
  /** Where products and the sums that take them in are written that may be one instruction: see `relaxed`. */
  private readonly products: number[] = []
  private readonly sums: number[] = []

  op(op: PlainOp): this {
    const { prefix, code } = plainCode(op)
    if (prefix) this.bytes.push(SIMD_PREFIX)
    if (prefix) unsigned(this.bytes, code)
    else this.bytes.push(code)
    return this
  }

  /** a * b + c in four lanes: a and b lie on the stack, `addend` writes c. */
  multiplyAdd(addend: () => void): this {
    this.products.push(this.bytes.length)
    this.op('f32x4.mul')
    addend()
    this.sums.push(this.bytes.length)
    return this.op('f32x4.add')
  }

  /** The same with every `multiplyAdd` in one instruction, rounded once: a copy that leaves products out. */
  relaxed(): Code {
    const { bytes, products, sums } = this
    const copy = new Code()
    let from = 0
    const upTo = (to: number): void => {
      for (let i = from; i < to; i++) copy.bytes.push(bytes[i]!)
      from = to + VECTOR_OP_BYTES
    }
    for (let p = 0, s = 0; s < sums.length;) {
      if (p < products.length && products[p]! < sums[s]!) upTo(products[p++]!)
      else {
        upTo(sums[s++]!)
        copy.op('f32x4.relaxed_madd')
      }
    }
    upTo(bytes.length)
    return copy
  }

  i32(value: number): this {
    this.bytes.push(0x41)
    signed(this.bytes, value | 0)
    return this
  }

  f32(value: number): this {
    this.bytes.push(0x43, ...floatBytes(value))
    return this
  }

  f32x4(...lanes: readonly [number, number, number, number]): this {
    const { bytes } = this
    bytes.push(SIMD_PREFIX, VECTOR_CONSTANT)
    for (const lane of lanes) for (const byte of floatBytes(lane)) bytes.push(byte)
    return this
  }

  i32x4(...lanes: readonly [number, number, number, number]): this {
    this.bytes.push(SIMD_PREFIX, VECTOR_CONSTANT, ...new Uint8Array(new Int32Array(lanes).buffer))
    return this
  }

  get(local: number): this {
    return this.indexed(0x20, local)
  }

  set(local: number): this {
    return this.indexed(0x21, local)
  }

  tee(local: number): this {
    return this.indexed(0x22, local)
  }

  call(fn: number): this {
    return this.indexed(0x10, fn)
  }

  /** Through table 0. */
  callIndirect(type: number): this {
    this.indexed(0x11, type)
    this.bytes.push(0)
    return this
  }

  /** An address lies on the stack; `offset` bytes are added to it. */
  memory(op: MemoryOp, offset = 0): this {
    const [prefix, code, alignment] = memoryCode(op)
    if (prefix) this.bytes.push(prefix)
    this.bytes.push(code, alignment)
    unsigned(this.bytes, offset)
    return this
  }

  memoryLane(op: MemoryLaneOp, lane: number, offset = 0): this {
    this.bytes.push(SIMD_PREFIX, memoryLaneCode(op), 2)
    unsigned(this.bytes, offset)
    this.bytes.push(lane)
    return this
  }

  lane(op: LaneOp, lane: number): this {
    this.bytes.push(SIMD_PREFIX, laneCode(op), lane)
    return this
  }

  /** Four lanes out of two vectors: 0..3 of the lower one, 4..7 of the one on top. */
  shuffle(...lanes: readonly [number, number, number, number]): this {
    this.bytes.push(SIMD_PREFIX, SHUFFLE, ...lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3]))
    return this
  }

  /** Yes, no and a condition lie on the stack. */
  selectOf(type: ValueType): this {
    this.bytes.push(0x1c, 1, TYPE_BYTE[type])
    return this
  }

  block(): this {
    this.bytes.push(0x02, EMPTY)
    return this
  }

  loop(): this {
    this.bytes.push(0x03, EMPTY)
    return this
  }

  if(): this {
    this.bytes.push(0x04, EMPTY)
    return this
  }

  else(): this {
    this.bytes.push(0x05)
    return this
  }

  end(): this {
    this.bytes.push(0x0b)
    return this
  }

  br(depth: number): this {
    return this.indexed(0x0c, depth)
  }

  brIf(depth: number): this {
    return this.indexed(0x0d, depth)
  }

  private indexed(code: number, index: number): this {
    this.bytes.push(code)
    unsigned(this.bytes, index)
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
  /** Functions in the table, in order. */
  readonly table: readonly number[]
  readonly exports: readonly { readonly name: string; readonly function: number }[]
  readonly tableExport: string
  /** Bytes per 64 KiB page are the module's only import: `env.memory`, shared. */
  readonly maxPages: number
}

export function encodeModule(module: WasmModule): Uint8Array {
  const types: FunctionType[] = [...module.types]
  const typeKey = (t: FunctionType): string => `${t.params}>${t.results}`
  const typeIndex = (t: FunctionType): number => {
    const known = types.findIndex((other) => typeKey(other) === typeKey(t))
    return known >= 0 ? known : types.push(t) - 1
  }
  const ofFunctions = module.functions.map((f) => typeIndex(f.type))
  const parts: Bytes[] = [[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]]
  const section = (id: number, body: Bytes): void => {
    parts.push([id], leb(body.length), body)
  }
  section(
    1,
    vector(types.map((t) => [0x60, ...vector(t.params.map((p) => [TYPE_BYTE[p]])), ...vector(t.results.map((r) => [TYPE_BYTE[r]]))])),
  )
  section(2, vector([[...name('env'), ...name('memory'), 2, 3, ...leb(1), ...leb(module.maxPages)]]))
  section(3, vector(ofFunctions.map(leb)))
  section(4, vector([[0x70, 1, ...leb(module.table.length), ...leb(module.table.length)]]))
  section(
    7,
    vector([
      ...module.exports.map((e) => [...name(e.name), 0, ...leb(e.function)]),
      [...name(module.tableExport), 1, 0],
    ]),
  )
  section(9, vector([[0, 0x41, 0, 0x0b, ...vector(module.table.map(leb))]]))
  section(
    10,
    vector(module.functions.map((f) => {
      const locals = vector(runs(f.locals).map(({ type, count }) => [...leb(count), TYPE_BYTE[type]]))
      return joined([leb(locals.length + f.code.bytes.length + 1), locals, f.code.bytes, [0x0b]])
    })),
  )
  return joined(parts)
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

const leb = (value: number): number[] => unsigned([], value)

/** LEB128. */
function unsigned(out: number[], value: number): number[] {
  let rest = value >>> 0
  do {
    const byte = rest & 0x7f
    rest >>>= 7
    out.push(rest === 0 ? byte : byte | 0x80)
  } while (rest !== 0)
  return out
}

function signed(out: number[], value: number): void {
  let rest = value
  for (;;) {
    const byte = rest & 0x7f
    rest >>= 7
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) {
      out.push(byte)
      return
    }
    out.push(byte | 0x80)
  }
}

const float = new Float32Array(1)
const bytesOfFloat = new Uint8Array(float.buffer)

function floatBytes(value: number): Uint8Array {
  float[0] = value
  return bytesOfFloat
}
