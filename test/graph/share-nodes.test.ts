import { expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { type Graph, type Node, type Value, value } from '../../compiler/graph/graph.ts'
import { SharedNodes } from '../../compiler/graph/share-nodes.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'

const x = value('x', ['n', 4], nowhere, { storage: { role: 'input', slot: 'x', offset: 0 } })
const w = value('w', [4], nowhere, { storage: { role: 'parameters', offset: 0 } })

/** x -> scale -> relu, made anew as each program makes it. */
function program({ slope = 0, width = 4, offset = 0, twice = false } = {}): Graph {
  const node = (name: string, input: Value, output: Value, more: Partial<Node> = {}): Node => ({
    name,
    op: name,
    layer: name,
    inputs: [input],
    parameters: {},
    outputs: [output],
    attributes: {},
    span: nowhere,
    ...more,
  })
  const a = value('a', ['n', width], nowhere)
  const b = value(twice ? 'a' : 'b', ['n', width], nowhere)
  const d = value('d', [4], nowhere, { storage: { role: 'gradients', offset } })
  return {
    name: 'g',
    inputs: [x],
    parameters: [{
      value: w,
      name: 'w',
      trainable: true,
      initializer: { kind: 'constant', value: 1 },
      rateMultiplier: 1,
      decayMultiplier: 1,
      layer: 'scale',
    }],
    nodes: [
      node('scale', x, a, { parameters: { gamma: w } }),
      node('relu', a, b, { attributes: { slope } }),
      node('sum', b, d),
    ],
    outputs: [{ name: 'y', role: 'output', value: b }, { name: 'grad/w', role: 'gradient', value: d }],
  }
}

/** Which nodes of two programs are one object, after both were shared. */
function sharedNodes(first: Graph, second: Graph): boolean[] {
  const shared = new SharedNodes()
  const [one, two] = [shared.share(first), shared.share(second)]
  return one.nodes.map((node, i) => node === two.nodes[i])
}

test('programs share nodes that say the same, and the values that these make and give out', () => {
  const shared = new SharedNodes()
  const [one, two] = [shared.share(program()), shared.share(program())]
  expect(two.nodes.map((node, i) => node === one.nodes[i])).toEqual([true, true, true])
  expect(two.outputs.map((output, i) => output.value === one.outputs[i]!.value)).toEqual([true, true])
  expect(two.nodes[0]!.inputs[0]).toBe(x)
  expect(two.nodes[0]!.parameters['gamma']).toBe(w)
  expect(two.nodes[1]!.inputs[0]).toBe(two.nodes[0]!.outputs[0])
})

test('nodes differ where an attribute, -0 too, a shape or a place does; those around them are shared', () => {
  expect(sharedNodes(program(), program({ slope: 0.1 }))).toEqual([true, false, true])
  expect(sharedNodes(program(), program({ slope: -0 }))).toEqual([true, false, true])
  expect(sharedNodes(program(), program({ offset: 64 }))).toEqual([true, true, false])
  expect(sharedNodes(program(), program({ width: 5 }))).toEqual([false, false, false])
})

test('values of one name in a graph stay two, in every program', () => {
  const shared = new SharedNodes()
  for (const graph of [shared.share(program({ twice: true })), shared.share(program({ twice: true }))]) {
    const [scale, relu, sum] = graph.nodes
    expect(scale!.outputs[0]).not.toBe(relu!.outputs[0])
    expect(relu!.inputs[0]).toBe(scale!.outputs[0])
    expect(sum!.inputs[0]).toBe(relu!.outputs[0])
  }
})

test('values of one text that stand already, and come in another order, keep to their nodes', () => {
  const shared = new SharedNodes()
  const one = shared.share(program({ twice: true }))
  const [scale] = one.nodes
  // The new value comes first, and says what both of the others do.
  const first = value('a', ['n', 4], nowhere)
  const { nodes } = shared.share({
    ...one,
    nodes: [{ ...scale!, name: 'before', op: 'relu', parameters: {}, outputs: [first] }, ...one.nodes],
  })
  expect(new Set(nodes.map(({ outputs }) => outputs[0])).size).toBe(4)
  expect(nodes.map(({ op }) => op)).toEqual(['relu', 'scale', 'relu', 'sum'])
  expect(nodes[1]!.inputs[0]).toBe(nodes[0]!.inputs[0])
  expect(nodes[2]!.inputs[0]).toBe(nodes[1]!.outputs[0])
  expect(nodes[3]!.inputs[0]).toBe(nodes[2]!.outputs[0])
})

test('nodes outlive a generation that uses them, and no other; of very many, none does', () => {
  const shared = new SharedNodes()
  const isKept = (before: Graph): boolean => shared.share(program()).nodes[0] === before.nodes[0]
  const first = shared.share(program())
  shared.begin()
  expect(isKept(first)).toBe(true)
  shared.begin()
  shared.begin()
  expect(isKept(first)).toBe(false)
  const few = new SharedNodes(3)
  const { nodes } = few.share(program())
  few.begin()
  expect(few.share(program()).nodes[0]).not.toBe(nodes[0])
})

test('shared nodes know nothing of the text that they come from', () => {
  const source = { file: 'net.net', text: 'a text of the caller' }
  const graph = program()
  const made = new SharedNodes().share({ ...graph, nodes: graph.nodes.map((node) => ({ ...node, span: { source, start: 0, end: 1 } })) })
  expect(JSON.stringify(made)).not.toContain('a text of the caller')
})

test('where values start is told beside them, so that nodes behind a wider layer stay the same ones', () => {
  const shared = new SharedNodes()
  const [here, there] = [new Map<Tensor, number>(), new Map<Tensor, number>()]
  const one = shared.share(program({ offset: 64 }), here)
  shared.begin()
  const two = shared.share(program({ offset: 128 }), there)
  expect(two.nodes.map((node, i) => node === one.nodes[i])).toEqual([true, true, true])
  const d = one.outputs[1]!.value
  expect([here.get(d), there.get(d)]).toEqual([64, 128])
  expect(d.storage).toEqual({ role: 'gradients', offset: NaN })
  // In one net a value has one place: what starts elsewhere is another value.
  const three = shared.share(program({ offset: 192 }), there)
  expect(three.outputs[1]!.value).not.toBe(d)
  expect([there.get(d), there.get(three.outputs[1]!.value)]).toEqual([128, 192])
})
