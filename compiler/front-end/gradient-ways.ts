import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Graph, Node, Value } from '../graph/graph.ts'
import { producers } from '../graph/query.ts'
import type { Operator } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'

/**
 * What is wrong with the ways from losses back to parameters: one through a layer that has no gradient (a metric); a loss, or a parameter, whose
 * ways all end at layers that change in steps, or at masks, so that nothing is learned.
 */
export function gradientProblems(graph: Graph, operators: ReadonlyMap<string, Operator>): readonly Diagnostic[] {
  const trained = new Set(graph.parameters.filter((p) => p.trainable).map((p) => p.value))
  const still = new Set(graph.parameters.filter((p) => p.rateMultiplier === 0).map((p) => p.value))
  const makers = producers(graph)
  const parametersOf = (node: Node): Value[] => Object.values(node.parameters).filter((p) => trained.has(p))
  const isFlat = (node: Node, input: number): boolean => traitsOf(operators, node).isFlatIn?.(input) === true
  /** What depends on a trained parameter, and of that what a gradient comes back from. */
  const [depends, learns] = [new Set<Value>(), new Set<Value>()]
  for (const node of graph.nodes) {
    const own = parametersOf(node).length > 0
    if (own || node.inputs.some((input) => depends.has(input))) node.outputs.forEach((out) => depends.add(out))
    if (own || node.inputs.some((input, i) => learns.has(input) && !isFlat(node, i))) node.outputs.forEach((out) => learns.add(out))
  }
  /** Why a gradient ends at a node. All inputs of a layer that steps are flat, also those that it does not have. */
  const whyOf = (node: Node): string =>
    isFlat(node, Infinity) ? `${node.op} changes in steps, so its gradient is 0` : `the mask of ${node.op} has no gradient`
  const problems: Diagnostic[] = []
  /** Nodes on the way of a gradient; where all ways end, and what it is that ends there. */
  const reached = new Set<Node>()
  const ends = new Map<Value, Node>()
  for (const loss of graph.outputs) {
    if (loss.role !== 'loss') continue
    let isTold = false
    // Values still to visit, the next one last.
    const open = [loss.value]
    for (let of = open.pop(); of; of = open.pop()) {
      const node = makers.get(of)
      if (!node || reached.has(node) || !depends.has(of)) continue
      reached.add(node)
      if (!operators.get(node.op)!.gradient) {
        isTold = true
        problems.push(
          problem('error', `loss ${loss.name} goes through ${node.op}, which has no gradient`, node, 'here', 'make it a metric instead'),
        )
        continue
      }
      for (const [i, input] of [...node.inputs.entries()].reverse()) {
        if (!isFlat(node, i)) open.push(input)
        else if (depends.has(input)) ends.set(input, node)
      }
    }
    if (isTold || learns.has(loss.value)) continue
    const end = [...ends.values()].at(-1)
    if (end && depends.has(loss.value))
      problems.push(problem('error', `nothing learns by loss ${loss.name}: ${whyOf(end)}`, end, 'here', MEND))
  }
  if (problems.length > 0) return problems
  return cutOff({ ends, reached, makers, whyOf, parametersOf: (node) => parametersOf(node).filter((p) => !still.has(p)) })
}

interface Ways {
  readonly ends: ReadonlyMap<Value, Node>
  readonly reached: ReadonlySet<Node>
  readonly makers: ReadonlyMap<Value, Node>
  readonly whyOf: (end: Node) => string
  readonly parametersOf: (node: Node) => readonly Value[]
}

/** A warning for each layer that steps, or takes a mask, behind parameters that no other way leads to. */
function cutOff({ ends, reached, makers, whyOf, parametersOf }: Ways): readonly Diagnostic[] {
  const learned = new Set([...reached].flatMap(parametersOf))
  const seen = new Set<Node>()
  return [...ends].flatMap(([value, end]) => {
    const names = new Set<string>()
    const open = [value]
    for (let of = open.pop(); of; of = open.pop()) {
      const node = makers.get(of)
      if (!node || reached.has(node) || seen.has(node)) continue
      seen.add(node)
      for (const p of parametersOf(node)) if (!learned.has(p)) names.add(node.name)
      open.push(...node.inputs)
    }
    if (names.size === 0) return []
    return [
      problem(
        'warning',
        `${[...names].reverse().join(', ')} never ${names.size === 1 ? 'learns' : 'learn'}: ${whyOf(end)}`,
        end,
        'here',
        MEND,
      ),
    ]
  })
}

const MEND = 'let another way lead to the loss too, as `sub(x, round(x))` has one'

const problem = (severity: Diagnostic['severity'], message: string, { span }: Node, text: string, hint: string): Diagnostic => ({
  severity,
  code: 'graph/no-gradient',
  message,
  labels: [{ span, text }],
  hint,
})
