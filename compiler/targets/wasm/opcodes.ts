/** Numbers of the instructions that kernels use, as the WebAssembly specification (3.0) gives them. */
const PLAIN = {
  unreachable: 0x00,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,
  'i32.eqz': 0x45,
  'i32.eq': 0x46,
  'i32.ne': 0x47,
  'i32.lt_s': 0x48,
  'i32.lt_u': 0x49,
  'i32.gt_s': 0x4a,
  'i32.gt_u': 0x4b,
  'i32.le_s': 0x4c,
  'i32.ge_s': 0x4e,
  'i32.ge_u': 0x4f,
  'f32.eq': 0x5b,
  'f32.ne': 0x5c,
  'f32.lt': 0x5d,
  'f32.gt': 0x5e,
  'f32.le': 0x5f,
  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i32.mul': 0x6c,
  'i32.div_s': 0x6d,
  'i32.div_u': 0x6e,
  'i32.rem_s': 0x6f,
  'i32.rem_u': 0x70,
  'i32.popcnt': 0x69,
  'i32.and': 0x71,
  'i32.or': 0x72,
  'i32.xor': 0x73,
  'i32.shl': 0x74,
  'i32.shr_s': 0x75,
  'i32.shr_u': 0x76,
  'f32.abs': 0x8b,
  'f32.neg': 0x8c,
  'f32.floor': 0x8e,
  'f32.sqrt': 0x91,
  'f32.add': 0x92,
  'f32.sub': 0x93,
  'f32.mul': 0x94,
  'f32.div': 0x95,
  'f32.min': 0x96,
  'f32.max': 0x97,
  'f32.convert_i32_s': 0xb2,
  'f32.convert_i32_u': 0xb3,
} as const

/** Numbers of operations behind the prefix 0xfd. */
const SIMD = {
  'i32x4.splat': 0x11,
  'f32x4.splat': 0x13,
  'i32x4.eq': 0x37,
  'i32x4.lt_s': 0x39,
  'i32x4.lt_u': 0x3a,
  'f32x4.eq': 0x41,
  'f32x4.ne': 0x42,
  'f32x4.lt': 0x43,
  'f32x4.gt': 0x44,
  'f32x4.le': 0x45,
  'v128.not': 0x4d,
  'v128.and': 0x4e,
  'v128.andnot': 0x4f,
  'v128.or': 0x50,
  'v128.xor': 0x51,
  'v128.any_true': 0x53,
  'f32x4.floor': 0x68,
  'f32x4.nearest': 0x6a,
  'i32x4.bitmask': 0xa4,
  'i32x4.shl': 0xab,
  'i32x4.shr_s': 0xac,
  'i32x4.shr_u': 0xad,
  'i32x4.add': 0xae,
  'i32x4.sub': 0xb1,
  'i32x4.mul': 0xb5,
  'f32x4.abs': 0xe0,
  'f32x4.neg': 0xe1,
  'f32x4.sqrt': 0xe3,
  'f32x4.add': 0xe4,
  'f32x4.sub': 0xe5,
  'f32x4.mul': 0xe6,
  'f32x4.div': 0xe7,
  'f32x4.pmin': 0xea,
  'f32x4.pmax': 0xeb,
  'i32x4.trunc_sat_f32x4_s': 0xf8,
  'f32x4.convert_i32x4_s': 0xfa,
  'f32x4.convert_i32x4_u': 0xfb,
  /** Relaxed SIMD: a * b + c, rounded once. */
  'f32x4.relaxed_madd': 0x105,
} as const

/** Operations with a lane behind them. */
const LANE = { 'i32x4.extract_lane': 0x1b, 'i32x4.replace_lane': 0x1c, 'f32x4.extract_lane': 0x1f, 'f32x4.replace_lane': 0x20 } as const

/** Operations with alignment (as a power of two) and offset behind them: prefix (0: none), number, alignment. */
const MEMORY = {
  'i32.load': [0, 0x28, 2],
  'f32.load': [0, 0x2a, 2],
  'i32.store': [0, 0x36, 2],
  'f32.store': [0, 0x38, 2],
  'v128.load': [0xfd, 0x00, 2],
  'v128.load32_splat': [0xfd, 0x09, 2],
  'v128.load32_zero': [0xfd, 0x5c, 2],
  'v128.store': [0xfd, 0x0b, 2],
  'memory.atomic.notify': [0xfe, 0x00, 2],
  'memory.atomic.wait32': [0xfe, 0x01, 2],
  'i32.atomic.load': [0xfe, 0x10, 2],
  'i32.atomic.store': [0xfe, 0x17, 2],
  'i32.atomic.rmw.add': [0xfe, 0x1e, 2],
} as const

/** Memory and a lane. */
const MEMORY_LANE = { 'v128.load32_lane': 0x56, 'v128.store32_lane': 0x5a } as const

export type PlainOp = keyof typeof PLAIN | keyof typeof SIMD
export type LaneOp = keyof typeof LANE
export type MemoryOp = keyof typeof MEMORY
export type MemoryLaneOp = keyof typeof MEMORY_LANE

export const SIMD_PREFIX = 0xfd
export const SHUFFLE = 0x0d
export const VECTOR_CONSTANT = 0x0c

export const plainCode = (op: PlainOp): { prefix: boolean; code: number } =>
  op in PLAIN ? { prefix: false, code: PLAIN[op as keyof typeof PLAIN] } : { prefix: true, code: SIMD[op as keyof typeof SIMD] }
export const laneCode = (op: LaneOp): number => LANE[op]
export const memoryCode = (op: MemoryOp): readonly [number, number, number] => MEMORY[op]
export const memoryLaneCode = (op: MemoryLaneOp): number => MEMORY_LANE[op]
