import type { Operator } from '../ops/operator.ts'
import { onceByNode } from '../ir/once-by-node.ts'
import { elementsPerSample, isBatched, sameShape, showShape, overlap } from '../ir/tensor.ts'
import type { Graph, Node, Value } from '../graph/graph.ts'
import { readsOf } from '../graph/query.ts'
import { ALIGNMENT } from '../graph/storage.ts'

/**
 * The problems of a graph, one line each; none where it is sound. A graph is sound when every value is made once and
 * before it is read, what outlives the program has a place of its own, updates in place come after everything that reads
 * the old value, and shapes are what the operators' rules give.
 */
export function verifyGraph(graph: Graph, operators: ReadonlyMap<string, Operator>): string[] {
  return [
    ...nameProblems(graph),
    ...storageProblems(graph),
    ...orderProblems(graph, graph.nodes),
    ...orderProblems(graph, graph.prepare ?? []),
    ...updateProblems(graph),
    ...[...graph.nodes, ...(graph.prepare ?? [])].flatMap((node) => knownProblems(node, operators)),
    ...outputProblems(graph),
  ]
}

function repeated(names: readonly string[]): Set<string> {
  const seen = new Set<string>()
  return new Set(names.filter((name) => seen.size === seen.add(name).size))
}

const nameProblems = (graph: Graph): string[] => [
  ...[...repeated(graph.nodes.map((node) => node.name))].map((name) => `two nodes are called ${name}`),
  ...[...repeated(graph.parameters.map((entry) => entry.name))].map((name) => `two parameters are called ${name}`),
  ...[...repeated([...graph.inputs.map((input) => input.name), ...graph.outputs.map((out) => out.name)])].map((name) =>
    `two inputs or outputs are called ${name}`
  ),
]

function storageProblems(graph: Graph): string[] {
  const problems: string[] = []
  for (const { name, value, trainable } of graph.parameters) {
    const role = trainable ? 'parameters' : 'states'
    if (value.storage?.role !== role) problems.push(`parameter ${name} does not lie in ${role}`)
    else if (value.storage.offset % ALIGNMENT !== 0)
      problems.push(`parameter ${name} starts at ${value.storage.offset}, no multiple of ${ALIGNMENT}`)
  }
  for (const role of ['parameters', 'states']) {
    const placed = graph.parameters.map((entry) => entry.value).filter((value) => value.storage?.role === role)
      .sort((a, b) => a.storage!.offset - b.storage!.offset)
    placed.slice(1).forEach((b, i) => {
      if (overlap(placed[i]!, b)) problems.push(`${placed[i]!.name} and ${b.name} share a place in ${role}`)
    })
  }
  for (const input of graph.inputs) if (input.storage?.role !== 'input') problems.push(`input ${input.name} is not stored as one`)
  return problems
}

/** Tells which values exist before the program runs: stored by an earlier program, or handed in. */
function givenTo(graph: Graph): (value: Value) => boolean {
  const known = new Set([...graph.inputs, ...graph.parameters.map((entry) => entry.value)])
  return (value) => known.has(value) || (value.storage !== undefined && value.storage.role !== 'input')
}

function orderProblems(graph: Graph, nodes: readonly Node[]): string[] {
  const problems: string[] = []
  const isGiven = givenTo(graph)
  const made = new Set<Value>()
  const makers = new Map<Value, Node>(nodes.flatMap((node) => node.outputs.map((out) => [out, node] as const)))
  for (const node of nodes) {
    for (const read of readsOf(node)) {
      if (made.has(read)) continue
      const maker = makers.get(read)
      if (maker && !updates(maker, read)) problems.push(`${node.name} reads ${read.name} before ${maker.name} makes it`)
      else if (!maker && !isGiven(read)) problems.push(`${node.name} reads ${read.name}, which nothing makes`)
    }
    for (const [role, value] of Object.entries(node.parameters)) {
      if (!isGiven(value)) problems.push(`${node.name} has ${value.name} as ${role}, which is no parameter`)
    }
    for (const out of node.outputs) {
      // Layers that share statistics update them one after the other.
      if (made.has(out) && !updates(node, out)) problems.push(`${out.name} is made twice, the second time by ${node.name}`)
      if (out.storage?.role === 'input') problems.push(`${node.name} writes to the input ${out.name}`)
      made.add(out)
    }
  }
  return problems
}

/** Whether the node changes a value that was there before: in place. */
const updates = (node: Node, value: Value): boolean =>
  value.storage !== undefined && node.outputs.includes(value) && readsOf(node).includes(value)

const UPDATED: readonly string[] = ['parameters', 'states', 'history']
const isUpdated = ({ storage }: Value): boolean => storage !== undefined && UPDATED.includes(storage.role)

/** Statistics that layers share: each update sees what the one before it kept. What it counts beside them is of a place of its own. */
const isUpdate = (node: Node): boolean =>
  node.outputs.some(({ storage }) => storage?.role === 'states') && node.outputs.every(({ storage }) => storage?.role !== 'parameters')

function updateProblems(graph: Graph): string[] {
  const problems: string[] = []
  const updated: { readonly value: Value; readonly by: Node }[] = []
  for (const node of graph.nodes) {
    for (const read of updated.length > 0 ? readsOf(node) : []) {
      if (!isUpdated(read) || (read.storage?.role === 'states' && isUpdate(node))) continue
      const before = updated.find(({ value }) => overlap(value, read))
      if (before) problems.push(`${node.name} reads ${read.name} after ${before.by.name} has updated it`)
    }
    for (const out of node.outputs) if (isUpdated(out)) updated.push({ value: out, by: node })
  }
  return problems
}

/** A pass leaves most nodes as they were: those were looked at after the pass before. */
function knownProblems(node: Node, operators: ReadonlyMap<string, Operator>): readonly string[] {
  const known = problemsBy.get(operators) ?? onceByNode((each: Node) => nodeProblems(each, operators))
  problemsBy.set(operators, known)
  return known(node)
}

const problemsBy = new WeakMap<ReadonlyMap<string, Operator>, (node: Node) => readonly string[]>()

function nodeProblems(node: Node, operators: ReadonlyMap<string, Operator>): string[] {
  const operator = operators.get(node.op)
  if (!operator) return [`${node.name} has the unknown operator ${node.op}`]
  const problems = node.outputs.filter((out) => out.shape.some((dim, i) => (dim === 'n' ? i > 0 : !(Number.isInteger(dim) && dim > 0))))
    .map((out) => `${out.name} has the shape ${showShape(out.shape)}`)
  const [x] = node.inputs
  const [y] = node.outputs
  if (
    operator.traits?.view && x && y &&
    (elementsPerSample(x.shape) !== elementsPerSample(y.shape) || isBatched(x.shape) !== isBatched(y.shape))
  ) {
    problems.push(`${node.name} shows ${showShape(x.shape)} as ${showShape(y.shape)}`)
  }
  // Nodes that are still the layer of the file: the rule must give again what they have.
  if (operator.shape && node.name === node.layer && y) {
    const answer = operator.shape({
      name: node.name,
      op: node.op,
      inputs: node.inputs,
      inputSpans: node.inputs.map(() => node.span),
      attributes: node.attributes,
      attributeSpans: {},
      span: node.span,
      classesOf: () => undefined,
    })
    if (!('shape' in answer)) problems.push(...answer.map((d) => `${node.name}: ${d.message}`))
    else {
      if (!sameShape(answer.shape, y.shape))
        problems.push(`${node.name} gives ${showShape(answer.shape)}, and ${y.name} is ${showShape(y.shape)}`)
      for (const spec of answer.parameters ?? []) {
        const value = node.parameters[spec.role]
        if (value && !sameShape(value.shape, spec.shape))
          problems.push(`${node.name} needs a ${spec.role} ${showShape(spec.shape)}, and ${value.name} is ${showShape(value.shape)}`)
      }
    }
  }
  return problems
}

function outputProblems(graph: Graph): string[] {
  const made = new Set(graph.nodes.flatMap((node) => node.outputs))
  const isGiven = givenTo(graph)
  const problems = graph.outputs.filter(({ value }) => !made.has(value) && !isGiven(value)).map(({ name, value }) =>
    `output ${name} is ${value.name}, which nothing makes`
  )
  const shapes = new Map<string, Pick<Value, 'name' | 'shape'>>([
    ...graph.inputs.map((input) => [`grad/${input.name}`, input] as const),
    ...graph.parameters.map((entry) => [`grad/${entry.name}`, { name: entry.name, shape: entry.value.shape }] as const),
  ])
  for (const { name, role, value } of graph.outputs) {
    if (role !== 'gradient') continue
    const of = shapes.get(name)
    if (!of) problems.push(`${name} is the gradient of nothing`)
    else if (!sameShape(of.shape, value.shape)) problems.push(`${name} is ${showShape(value.shape)}, and ${of.name} ${showShape(of.shape)}`)
  }
  return problems
}
