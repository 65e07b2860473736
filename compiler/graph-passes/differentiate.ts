import { taskOf, TRAINING_PROGRAMS } from '../../bundle/format.ts'
import { type Graph, type NamedOutput, type Node, type ParameterEntry, value, type Value } from '../graph/graph.ts'
import { producers, readsOf } from '../graph/query.ts'
import { substituteValues } from '../graph/rewrite.ts'
import { invariant } from '../invariant.ts'
import type { GradientBuilder, Operator } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'
import { UniqueNames } from '../unique-names.ts'
import type { GraphPass } from './pass.ts'

/** Gradients that are results, by name: `grad/conv1.weight`, `grad/image`. */
const REPORTING: readonly string[] = ['gradients', 'step']
/** An `add` of more operands would bind more buffers than every WebGPU grants once something is fused into it. */
const MOST_ADDED = 4

/**
 * Appends the backward pass: reverse mode, one visit a node, from the last to the first. The seed of each loss is its
 * weight, so all losses are one sum; a value that is read several times adds up what its readers hand back.
 *
 * Gradients of trained parameters are stored in `gradients` at the parameter's own offset, so that a solver is one loop over
 * all of them; shared parameters add up first. A parameter that no loss depends on has no node here: its gradient is what
 * the buffer starts with, zero. Frozen parameters (`lr_mult` 0) get none in `train`; where gradients are results they do, in
 * memory of their own, so that the solver's clipping sees the same numbers in every program.
 */
export const differentiate: GraphPass = {
  name: 'differentiate',
  required: true,
  programs: TRAINING_PROGRAMS,
  run: (graph, { program, operators }) => ({
    graph: new Differentiation(graph, operators, REPORTING.includes(taskOf(program))).run(),
    declined: [],
  }),
}

class Differentiation {
  private readonly graph: Graph
  private readonly operators: ReadonlyMap<string, Operator>
  /** Whether gradients are results: then those of inputs and frozen parameters are asked for too. */
  private readonly reporting: boolean
  private readonly needed = new Set<Value>()
  private readonly parameters: ReadonlyMap<Value, ParameterEntry>
  /** The gradients that readers of a value handed back so far. */
  private readonly parts = new Map<Value, Value[]>()
  /** The gradients that are asked for, once complete. */
  private readonly complete = new Map<Value, Value>()
  private readonly names: UniqueNames
  private readonly inputs: ReadonlySet<Value>
  private readonly makers: Map<Value, Node>
  private readonly nodes: Node[] = []
  /** Gradients that are written to a parameter's place after all. */
  private readonly moved = new Map<Value, Value>()

  constructor(graph: Graph, operators: ReadonlyMap<string, Operator>, reporting: boolean) {
    this.graph = graph
    this.operators = operators
    this.reporting = reporting
    this.inputs = new Set(graph.inputs)
    this.names = new UniqueNames(graph.nodes.map((node) => node.name))
    this.makers = producers(graph)
    this.parameters = new Map(graph.parameters.map((entry) => [entry.value, entry]))
  }

  run(): Graph {
    this.markNeeded()
    for (const output of this.graph.outputs) if (output.role === 'loss') this.seed(output)
    const forward = this.graph.nodes
    const firstReader = new Map<Value, Node>()
    for (const node of [...forward].reverse()) for (const read of readsOf(node)) firstReader.set(read, node)
    for (const node of [...forward].reverse()) {
      this.visit(node)
      // No reader is left: what was handed back is all.
      for (const p of new Set(Object.values(node.parameters))) if (firstReader.get(p) === node && this.asked(p)) this.finish(p, node)
    }
    if (this.reporting) { for (const input of this.graph.inputs) if (this.asked(input)) this.finishInput(input, firstReader.get(input)) }
    const backward: Graph = {
      name: '',
      inputs: [],
      parameters: [],
      nodes: this.nodes.map((node) => this.moveOutputs(node)),
      outputs: this.reports(),
    }
    const { nodes, outputs } = substituteValues(backward, this.moved)
    return { ...this.graph, nodes: [...forward, ...nodes], outputs: [...this.graph.outputs, ...outputs] }
  }

  /** Asked for, or on the way from a loss to what is asked for. */
  private markNeeded(): void {
    for (const entry of this.graph.parameters) if (this.asked(entry.value)) this.needed.add(entry.value)
    for (const input of this.graph.inputs) if (this.asked(input)) this.needed.add(input)
    for (const node of this.graph.nodes) {
      if (!this.operators.get(node.op)?.gradient) continue
      const { isFlatIn } = traitsOf(this.operators, node)
      const inputs = node.inputs.filter((_, i) => !isFlatIn?.(i))
      if ([...inputs, ...Object.values(node.parameters)].some((read) => this.needed.has(read))) {
        for (const out of node.outputs) if (out.type === 'f32') this.needed.add(out)
      }
    }
  }

  private asked(of: Value): boolean {
    const entry = this.parameters.get(of)
    if (entry) return entry.trainable && (entry.rateMultiplier !== 0 || this.reporting)
    return this.reporting && of.type === 'f32' && this.inputs.has(of)
  }

  private seed({ value: loss, weight = 1 }: NamedOutput): void {
    if (!this.needed.has(loss) || weight === 0) return
    const made = this.makers.get(loss)
    const seed = value(`${loss.name}.seed`, loss.shape, loss.madeAt)
    this.append({
      name: `${loss.name}.seed`,
      op: 'constant',
      layer: made?.layer ?? loss.name,
      inputs: [],
      parameters: {},
      outputs: [seed],
      attributes: { value: weight },
      span: loss.madeAt,
    })
    this.handBack(loss, seed)
  }

  private visit(node: Node): void {
    const out = node.outputs[0]
    if (!out || !this.needed.has(out)) return
    const dOut = this.sum(out, node)
    if (!dOut) return
    const operator = this.operators.get(node.op)
    invariant(operator?.gradient, `differentiate: ${node.name} (${node.op}) has no gradient`)
    const given = operator.gradient(node, dOut, this.builderFor(node))
    node.inputs.forEach((input, i) => this.handBack(input, given.inputs?.[i]))
    for (const [role, p] of Object.entries(node.parameters)) this.handBack(p, given.parameters?.[role])
  }

  private builderFor(of: Node): GradientBuilder {
    return {
      needs: (read) => this.needed.has(read),
      node: (spec) => {
        const outputs = spec.outputs.map((out) => value(`${of.name}.${out.name}`, out.shape, of.span))
        this.append({
          name: `${of.name}.${spec.suffix}`,
          op: spec.op,
          layer: of.layer,
          ...(of.absorbed && { absorbed: of.absorbed }),
          inputs: spec.inputs,
          parameters: spec.parameters ?? {},
          attributes: spec.attributes ?? {},
          outputs,
          span: of.span,
        })
        return outputs
      },
    }
  }

  private append(node: Node): void {
    this.nodes.push({ ...node, name: this.names.give(node.name) })
    for (const out of node.outputs) this.makers.set(out, node)
  }

  private handBack(to: Value, gradient: Value | undefined): void {
    if (!gradient || !this.needed.has(to)) return
    const parts = this.parts.get(to)
    if (parts) parts.push(gradient)
    else this.parts.set(to, [gradient])
  }

  /** All that readers handed back, added up, at most four at a time, in the order in which it came. */
  private sum(of: Value, at: Node): Value | undefined {
    const parts = this.parts.get(of) ?? []
    this.parts.delete(of)
    let [total] = parts
    for (let added = 1; added < parts.length; added += MOST_ADDED - 1) {
      const inputs = [total!, ...parts.slice(added, added + MOST_ADDED - 1)]
      total = value(`${of.name}.d`, of.shape, at.span)
      this.append({
        name: `${of.name}.d`,
        op: 'add',
        layer: at.layer,
        inputs,
        parameters: {},
        outputs: [total],
        attributes: {},
        span: at.span,
      })
    }
    return total
  }

  private finish(parameter: Value, at: Node): void {
    const total = this.sum(parameter, at)
    if (!total) return
    const entry = this.parameters.get(parameter)!
    if (entry.rateMultiplier === 0) {
      this.complete.set(parameter, total)
      return
    }
    const stored = value(`${parameter.name}.gradient`, parameter.shape, at.span, { storage: gradientStorage(parameter) })
    // Written to its place by the node that makes it, unless that shows another value's elements or serves two parameters.
    if (!traitsOf(this.operators, this.makers.get(total)!).view && !total.storage && !this.moved.has(total)) this.moved.set(total, stored)
    else this.append({
        name: `${parameter.name}.d`,
        op: 'add',
        layer: at.layer,
        inputs: [total],
        parameters: {},
        outputs: [stored],
        attributes: {},
        span: at.span,
      })
    this.complete.set(parameter, stored)
  }

  private moveOutputs(node: Node): Node {
    return node.outputs.some((out) => this.moved.has(out)) ? { ...node, outputs: node.outputs.map((out) => this.moved.get(out) ?? out) }
      : node
  }

  private finishInput(input: Value, at: Node | undefined): void {
    const total = at && this.sum(input, at)
    if (total) this.complete.set(input, total)
    else {
      const zero = value(`${input.name}.d`, input.shape, input.madeAt)
      this.append({
        name: `${input.name}.d`,
        op: 'constant',
        layer: at?.layer ?? input.name,
        inputs: [],
        parameters: {},
        outputs: [zero],
        attributes: { value: 0 },
        span: input.madeAt,
      })
      this.complete.set(input, zero)
    }
  }

  private reports(): NamedOutput[] {
    if (!this.reporting) return []
    const of = (name: string, asked: Value): NamedOutput => ({
      name: `grad/${name}`,
      role: 'gradient',
      // No loss depends on it: nothing writes to its place, which starts as zero and stays so.
      value: this.complete.get(asked) ?? value(`${asked.name}.gradient`, asked.shape, asked.madeAt, { storage: gradientStorage(asked) }),
    })
    return [
      ...this.graph.parameters.filter((entry) => this.asked(entry.value)).map((entry) => of(entry.name, entry.value)),
      ...this.graph.inputs.filter((input) => this.asked(input)).map((input) => of(input.name, input)),
    ]
  }
}

const gradientStorage = (parameter: Value): Value['storage'] => ({ role: 'gradients', offset: parameter.storage!.offset })
