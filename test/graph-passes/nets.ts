import { expect } from 'vitest'
import { loadProgram } from '../../dsl/index.ts'
import type { Program } from '../../dsl/program.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Graph, Node, Value } from '../../compiler/graph/graph.ts'
import type { Declined } from '../../compiler/graph/rewrite.ts'
import { packedSizes } from '../../compiler/graph/storage.ts'
import { verifyGraph } from '../../compiler/graph-passes/verify.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { buildGraph, type BuiltGraph } from '../../compiler/front-end/build-graph.ts'
import type { PassContext } from '../../compiler/graph-passes/pass.ts'
import { graphPasses } from '../../compiler/graph-passes/passes.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { initialValues } from '../../runtime/initializers.ts'
import type { ProgramName, Style } from '../../bundle/format.ts'

/** The layers of a net: the lines of its body, without what surrounds them. */
export const net = (body: string): string => `net test {\n  input x: f32[4, 6, 6]\n  input label: class[3]\n${body}\n}\n`

export function parsed(text: string): Program {
  const { program, diagnostics } = loadProgram({ file: 'test.net', text }, { vocabulary })
  expect(diagnostics.filter((d) => d.severity === 'error')).toEqual([])
  return program!
}

export const built = (text: string, style?: Style): BuiltGraph => buildGraph(parsed(text), { operators, ...(style && { style }) })

export function graphOf(text: string, style?: Style): Graph {
  const { graph, diagnostics } = built(text, style)
  expect(diagnostics.filter((d) => d.severity === 'error')).toEqual([])
  expect(verifyGraph(graph!, operators)).toEqual([])
  return graph!
}

export const codesOf = (diagnostics: readonly Diagnostic[]): string[] => diagnostics.map((d) => d.code)

export interface Passed {
  readonly graph: Graph
  readonly declined: readonly Declined[]
}

/** A program of a net, verified after every pass. */
export function programOf(
  text: string,
  program: ProgramName,
  options: { style?: Style; train?: PassContext['train']; without?: string } = {},
): Passed {
  return passed(graphOf(text, options.style), program, options)
}

export function passed(base: Graph, program: ProgramName, options: { train?: PassContext['train']; without?: string } = {}): Passed {
  let graph = base
  const declined: Declined[] = []
  for (const pass of graphPasses) {
    if (!pass.programs.includes(program) || pass.name === options.without) continue
    const result = pass.run(graph, { program, operators, ...(options.train && { train: options.train }) })
    expect(verifyGraph(result.graph, operators), `after ${pass.name} of ${program}`).toEqual([])
    graph = result.graph
    declined.push(...result.declined)
  }
  return { graph, declined }
}

export const opsOf = (graph: Graph): string[] => graph.nodes.map((node) => node.op)
export const nodeOf = (graph: Graph, name: string): Node | undefined => graph.nodes.find((node) => node.name === name)
export const reasonsOf = ({ declined }: Passed, layer: string): string[] => declined.filter((d) => d.node === layer).map((d) => d.reason)

/** Buffers that outlive programs, by name, as a device has them. */
export type Buffers = Map<string, Float64Array>

/** The buffers of a net, parameters as they start with a seed; `set` overrides by name. */
export function freshBuffers(base: Graph, seed: number, set: Readonly<Record<string, readonly number[]>> = {}): Buffers {
  const sizes = packedSizes(base)
  const buffers: Buffers = new Map([['parameters', new Float64Array(sizes.parameters)], ['states', new Float64Array(sizes.states)]])
  for (const entry of base.parameters) {
    const values = set[entry.name] ??
      initialValues({ name: entry.name, shape: entry.value.shape as number[], initializer: entry.initializer }, seed)
    buffers.get(entry.value.storage!.role)!.set(values, entry.value.storage!.offset)
  }
  return buffers
}

export const read = (base: Graph, buffers: Buffers, name: string): number[] => {
  const { value } = base.parameters.find((entry) => entry.name === name)!
  const { role, offset } = value.storage!
  return [...buffers.get(role)!.subarray(offset, offset + elementCount(value, 1))]
}

export interface RunOptions {
  readonly batch: number
  readonly inputs: Readonly<Record<string, readonly number[] | Float64Array>>
  readonly rate?: number
  readonly step?: number
}

/** Runs the equations of every node in float64; gives results by name. */
export function run(graph: Graph, buffers: Buffers, { batch, inputs, rate = 0, step = 0 }: RunOptions): Record<string, number[]> {
  if (graph.prepare?.length) runNodes({ ...graph, outputs: [] }, graph.prepare, buffers, batch, {}, rate, step)
  return runNodes(graph, graph.nodes, buffers, batch, inputs, rate, step)
}

function runNodes(
  graph: Graph,
  nodes: readonly Node[],
  buffers: Buffers,
  batch: number,
  inputs: RunOptions['inputs'],
  rate: number,
  step: number,
): Record<string, number[]> {
  const storage = new Map<Tensor, Numbers>()
  const size = packedSizes(graph)
  const place = (value: Value): void => {
    if (storage.has(value)) return
    const { storage: at } = value
    const count = elementCount(value, batch)
    if (!at) storage.set(value, new Float64Array(count))
    else if (at.role === 'input') storage.set(value, Float64Array.from(inputs[at.slot!] ?? new Float64Array(count)))
    else if (at.role === 'constants')
      storage.set(
        value,
        Float64Array.from(
          graph.constants!.find((c) => c.value === value)!.values.flatMap(({ times, values }) =>
            Array.from({ length: times }, () => values).flat()
          ),
        ),
      )
    else {
      const name = at.slot === undefined ? at.role : `${at.role}.${at.slot}`
      const whole = at.role === 'prepared' ? count : at.role === 'states' ? size.states : size.parameters
      if (!buffers.has(name)) buffers.set(name, new Float64Array(whole))
      storage.set(value, buffers.get(name)!.subarray(at.offset, at.offset + count))
    }
  }
  for (const node of nodes) {
    const operator = operators.get(node.op)!
    for (const value of [...node.inputs, ...Object.values(node.parameters)]) place(value)
    if (operator.traits?.view) {
      storage.set(node.outputs[0]!, storage.get(node.inputs[0]!)!)
      continue
    }
    node.outputs.forEach(place)
    for (const equation of operator.equations(node))
      evaluateEquation(equation, storage, { batch, rate, step, seed: 1, correction1: 1, correction2: 1 })
  }
  graph.outputs.forEach(({ value }) => place(value))
  return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, [...storage.get(value)!]]))
}

/** Numbers that look random and are the same everywhere. */
export const noise = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => {
    const s = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453
    return 2 * (s - Math.floor(s)) - 1
  })

export function expectClose(got: readonly number[], want: readonly number[], tolerance = 1e-9): void {
  expect(got.length).toBe(want.length)
  const scale = Math.max(1, ...want.map(Math.abs))
  got.forEach((value, i) =>
    expect(Math.abs(value - want[i]!), `element ${i}: ${value} for ${want[i]}`).toBeLessThanOrEqual(tolerance * scale)
  )
}
