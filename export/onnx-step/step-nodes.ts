import { UniqueNames } from '../../compiler/unique-names.ts'
import type { OnnxAttribute, OnnxNode, OnnxValue } from '../onnx/model.ts'
import type { StoredTensor } from '../streamed.ts'

/** The opset from which reductions read their axes as an input; ReduceSum has since 13. */
const AXES_AS_INPUT = 18

export type Attributes = Readonly<Record<string, OnnxAttribute>>

/** Gathers the nodes of a model. A value has the name of the node that makes it. What is asked for again is given again: equal nodes are one. */
export class StepNodes {
  readonly opset: number
  /** The node of the net that is being written: names of what it becomes begin with its name. */
  at = ''
  private readonly names = new UniqueNames()
  private readonly nodes: OnnxNode[] = []
  private readonly known = new Map<string, string>()

  constructor(opset: number) {
    this.opset = opset
  }

  /** A name that nothing else has. */
  name(wanted: string): string {
    return this.names.give(wanted)
  }

  /** The value that an operator makes of others. */
  add(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const key = JSON.stringify([op, inputs, attributes])
    const before = this.known.get(key)
    if (before !== undefined) return before
    const name = this.name(`${this.at}.${op}`)
    this.nodes.push({ name, op, inputs, outputs: [name], attributes })
    this.known.set(key, name)
    return name
  }

  /** Numbers of float32; a single one has the shape []. */
  numbers(values: readonly number[], shape: readonly number[] = []): string {
    return this.constant('f32', values.map(Math.fround), shape)
  }

  number(value: number): string {
    return this.numbers([value])
  }

  /** Whole numbers, for shapes, axes and positions. */
  integers(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant('i64', values, shape)
  }

  truths(values: readonly boolean[], shape: readonly number[]): string {
    return this.constant('bool', values.map(Number), shape)
  }

  private constant(type: StoredTensor['type'], values: readonly number[], shape: readonly number[]): string {
    const key = `${type} ${shape.join()} ${values.map((value) => (Object.is(value, -0) ? '-0' : value)).join()}`
    const before = this.known.get(key)
    if (before !== undefined) return before
    const name = this.name(`${this.at}.${values.length === 1 ? 'number' : 'numbers'}`)
    const tensor: StoredTensor = { name, type, shape, values: () => (type === 'f32' ? Float32Array.from(values) : values) }
    this.nodes.push({ name, op: 'Constant', inputs: [], outputs: [name], attributes: { value: { tensor } } })
    this.known.set(key, name)
    return name
  }

  /** A reduction along axes, which go. */
  reduce(op: 'ReduceSum' | 'ReduceMax', x: string, axes: readonly number[]): string {
    if (axes.length === 0) return x
    return op === 'ReduceSum' || this.opset >= AXES_AS_INPUT ? this.add(op, [x, this.integers(axes)], { keepdims: 0 })
      : this.add(op, [x], { axes, keepdims: 0 })
  }

  reshape(x: string, shape: readonly number[]): string {
    return this.add('Reshape', [x, this.integers(shape)])
  }

  transpose(x: string, order: readonly number[]): string {
    return order.every((from, to) => from === to) ? x : this.add('Transpose', [x], { perm: order })
  }

  unsqueeze(x: string, axes: readonly number[]): string {
    return axes.length === 0 ? x : this.add('Unsqueeze', [x, this.integers(axes)])
  }

  /** A map [n, c, h, w] in a frame of one value: [top, left, bottom, right]. */
  frame(x: string, [top, left, bottom, right]: readonly [number, number, number, number], value = 0): string {
    if (top + left + bottom + right === 0) return x
    const pads = this.integers([0, 0, top, left, 0, 0, bottom, right])
    return this.add('Pad', [x, pads, ...(value === 0 ? [] : [this.number(value)])])
  }

  /**
   * All nodes that results need, these under names of their own: a value of this graph that is no input and has no other name yet is
   * renamed, another one is copied. `results`: names and what they are.
   */
  finish(results: readonly (readonly [name: string, value: string])[], inputs: readonly OnnxValue[]): readonly OnnxNode[] {
    const given = new Set(inputs.map(({ name }) => name))
    const renamed = new Map<string, string>()
    const copies: OnnxNode[] = []
    for (const [name, value] of results) {
      if (given.has(value) || renamed.has(value)) copies.push({ name, op: 'Identity', inputs: [value], outputs: [name], attributes: {} })
      else renamed.set(value, name)
    }
    const nameOf = (value: string): string => renamed.get(value) ?? value
    const wanted = new Set(results.map(([, value]) => value))
    const kept: OnnxNode[] = []
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((output) => wanted.has(output))) continue
      for (const input of node.inputs) wanted.add(input)
      kept.push({ ...node, inputs: node.inputs.map(nameOf), outputs: node.outputs.map(nameOf) })
    }
    return [...kept.reverse(), ...copies.map((node) => ({ ...node, inputs: node.inputs.map(nameOf) }))]
  }
}
