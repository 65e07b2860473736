import type { Opcode } from '../../codegen/kernel-function.ts'
import type { PlainOp } from './opcodes.ts'

type Direct = Exclude<
  Opcode,
  | 'fma'
  | 'finite'
  | 'andnot'
  | 'select'
  | 'sign'
  | 'imin'
  | 'lanesum'
  | 'lanemax'
  | 'lanesums'
  | 'exp'
  | 'log'
  | 'tanh'
  | 'erf'
  | 'pow'
  | 'rounded'
>

export const SCALAR: Readonly<Record<Direct, PlainOp>> = {
  neg: 'f32.neg',
  abs: 'f32.abs',
  sqrt: 'f32.sqrt',
  floor: 'f32.floor',
  add: 'f32.add',
  sub: 'f32.sub',
  mul: 'f32.mul',
  div: 'f32.div',
  min: 'f32.min',
  max: 'f32.max',
  lt: 'f32.lt',
  le: 'f32.le',
  eq: 'f32.eq',
  and: 'i32.and',
  within: 'i32.lt_u',
  iadd: 'i32.add',
  imul: 'i32.mul',
  idiv: 'i32.div_s',
  irem: 'i32.rem_s',
  ieq: 'i32.eq',
  float: 'f32.convert_i32_s',
}

/**
 * `pmin` and `pmax` are one instruction on every machine, `min` and `max` are many. But they give their first operand where
 * either is NaN: the printer puts a number second, or tests the second.
 */
export const VECTOR: Readonly<Record<Direct, PlainOp>> = {
  neg: 'f32x4.neg',
  abs: 'f32x4.abs',
  sqrt: 'f32x4.sqrt',
  floor: 'f32x4.floor',
  add: 'f32x4.add',
  sub: 'f32x4.sub',
  mul: 'f32x4.mul',
  div: 'f32x4.div',
  min: 'f32x4.pmin',
  max: 'f32x4.pmax',
  lt: 'f32x4.lt',
  le: 'f32x4.le',
  eq: 'f32x4.eq',
  and: 'v128.and',
  within: 'i32x4.lt_u',
  iadd: 'i32x4.add',
  imul: 'i32x4.mul',
  idiv: 'unreachable',
  irem: 'unreachable',
  ieq: 'i32x4.eq',
  float: 'f32x4.convert_i32x4_s',
}
