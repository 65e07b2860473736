import { type LaneOp, laneCode, memoryCode, type MemoryLaneOp, memoryLaneCode, type MemoryOp, type PlainOp, plainCode, SHUFFLE, SIMD_PREFIX,
  VECTOR_CONSTANT } from './opcodes.ts'
import { ByteWriter, joined, leb } from './bytes.ts'

/** Types of locals, parameters and results. */
export type ValueType = 'i32' | 'f32' | 'v128'

/** The byte that stands for a type. */
export const TYPE_BYTE: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b }
const EMPTY = 0x40
const CHOOSE_LANES = Uint8Array.of(SIMD_PREFIX, 0xd2, 0)
const TEE = 0x22

/** Instructions that are being written, in the order in which they run. */
export class Code {
  private readonly out = new ByteWriter()
  /** Constants are written in full: V8 joins equal constants where it does not see that what fills all lanes is equal (Node 24). */
  private readonly inFull: boolean
  /** Where the instructions of `multiplyAdd` and `chooseLanes` stand in `bytes`, in order: see RELAXED_SECTION. */
  readonly relaxable: number[] = []
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
    this.relaxable.push(this.out.length)
    this.op('f32x4.mul')
    addend()
    this.relaxable.push(this.out.length)
    return this.op('f32x4.add')
  }

  /**
   * yes, no and a mask lie on the stack; the bits of each lane of the mask are equal, as a comparison gives them. It is `v128.bitselect`, of which engines with
   * relaxed SIMD make `i32x4.relaxed_laneselect`, one instruction of x86 in place of three. The third byte is room for that: the number is written longer than it must be.
   */
  chooseLanes(): this {
    this.relaxable.push(this.out.length)
    this.out.append(CHOOSE_LANES)
    return this
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
