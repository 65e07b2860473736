import type { Extent } from '../ir/affine.ts'
import type { ScalarName } from '../ir/expression.ts'
import type { Opcode, Operand, Type } from './kernel-function.ts'

/*
 * How operands are made. Those that kernels consist of have one layout in memory, whatever their kind, and so have statements (`statements.ts`): what walks a
 * kernel function (builder, inliner, printers, lifetimes) asks each of them for its kind, and an engine answers that with one load where all have one layout.
 * With a layout for each kind and for each optional field it looks layouts up in a table, and optimizes the walks anew for each that it meets.
 * The fields of the kinds that are rare are in a second layout, which begins alike: of seventy thousand operands of a net two thousand need them.
 */

class OperandNode {
  declare readonly kind: Operand['kind']
  declare name: string | undefined
  declare value: number | boolean | undefined
  declare type: Type | undefined
  declare lanes: 1 | 4 | undefined
  declare depth: number | undefined
  declare op: Opcode | undefined
  declare args: readonly Operand[] | undefined
  declare binding: number | undefined
  declare at: Operand | readonly Operand[] | undefined
  declare step: number | undefined

  constructor(kind: Operand['kind']) {
    this.kind = kind
    this.name = undefined
    this.value = undefined
    this.type = undefined
    this.lanes = undefined
    this.depth = undefined
    this.op = undefined
    this.args = undefined
    this.binding = undefined
    this.at = undefined
    this.step = undefined
  }
}

class RareOperandNode extends OperandNode {
  declare from: Operand | undefined
  declare parts: readonly Operand[] | undefined
  declare of: Operand | undefined
  declare lane: number | undefined
  declare chunks: number | undefined
  declare key: number | undefined
  declare combine: 'sum' | 'max' | undefined

  constructor(kind: Operand['kind']) {
    super(kind)
    this.from = undefined
    this.parts = undefined
    this.of = undefined
    this.lane = undefined
    this.chunks = undefined
    this.key = undefined
    this.combine = undefined
  }
}

const number = (value: number, type: 'f32' | 'i32'): Operand => {
  const node = new OperandNode('number')
  node.value = value
  node.type = type
  return node as Operand
}

export const int = (value: number): Operand => number(value, 'i32')

export const float = (value: number, lanes: 1 | 4 = 1): Operand =>
  lanes === 1 ? number(value, 'f32') : vector([number(value, 'f32'), number(value, 'f32'), number(value, 'f32'), number(value, 'f32')])

export const isZero = (operand: Operand): boolean => operand.kind === 'number' && operand.value === 0

export const truth = (value: boolean): Operand => (value ? TRUE : FALSE)

const [TRUE, FALSE] = [true, false].map((value) => {
  const node = new OperandNode('truth')
  node.value = value
  return node as Operand
}) as [Operand, Operand]

export function named(name: string, type: Type, lanes: 1 | 4, depth: number): Extract<Operand, { kind: 'name' }> {
  const node = new OperandNode('name')
  node.name = name
  node.type = type
  node.lanes = lanes
  node.depth = depth
  return node as Extract<Operand, { kind: 'name' }>
}

export function load(binding: number, at: Operand, lanes?: 1 | 4, step?: 1 | 2): Operand {
  const node = new OperandNode('load')
  node.binding = binding
  node.at = at
  node.lanes = lanes
  node.step = step
  return node as Operand
}

export function gather(binding: number, at: readonly Operand[]): Operand {
  const node = new OperandNode('gather')
  node.binding = binding
  node.at = at
  return node as Operand
}

export function ramp(from: Operand, step: number): Operand {
  const node = new RareOperandNode('ramp')
  node.from = from
  node.step = step
  return node as Operand
}

export function operation(op: Opcode, args: readonly Operand[], type: Type, lanes: 1 | 4): Operand {
  const node = new OperandNode('operation')
  node.op = op
  node.args = args
  node.type = type
  node.lanes = lanes
  return node as Operand
}

export function vector(parts: readonly Operand[]): Operand {
  const node = new RareOperandNode('vector')
  node.parts = parts
  return node as Operand
}

export function laneOf(of: Operand, lane: number): Operand {
  const node = new RareOperandNode('lane')
  node.of = of
  node.lane = lane
  return node as Operand
}

export function scalar(name: ScalarName): Operand {
  const node = new OperandNode('scalar')
  node.name = name
  return node as Operand
}

/** The points along an axis that the batch decides. */
export function batch(extent: Exclude<Extent, number>): Operand {
  const node = new RareOperandNode('batch')
  node.chunks = extent === 'n' ? 1 : extent.chunks
  return node as Operand
}

export function random(key: number, at: Operand): Operand {
  const node = new RareOperandNode('random')
  node.key = key
  node.at = at
  return node as Operand
}

export const tasksDone = (): Operand => new OperandNode('tasksDone') as Operand

export function subgroup(combine: 'sum' | 'max', of: Operand): Operand {
  const node = new RareOperandNode('subgroup')
  node.combine = combine
  node.of = of
  return node as Operand
}

export const subgroupSize = (): Operand => new OperandNode('subgroupSize') as Operand
