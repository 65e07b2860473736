import { producers } from '../../compiler/graph/query.ts'
import type { Graph, Node, Value } from '../../compiler/graph/graph.ts'
import type { LayerCall, Program, Span } from '../../dsl/index.ts'
import type { Written } from './layer.ts'
import type { Statements } from './statements.ts'

/** A block where it is called, or the net itself: its layers and the blocks within it, in the order of the text. */
export interface Instance {
  /** Its name within what holds it; '' of the net. */
  readonly name: string
  /** `stage1.` in front of the names of what it holds. */
  readonly prefix: string
  /** The name of its block in the text. Absent: the net itself. */
  readonly block?: string
  readonly units: Unit[]
  /** Values from outside that it reads, and its own that are read outside, in the order of their first use. */
  readonly inputs: Value[]
  readonly outputs: Value[]
}

export type Unit = LayerUnit | BlockUnit

interface Placed {
  /** Its name within the instance. */
  readonly name: string
  /** Where it is made: the layer's call, or that of the block. */
  readonly span: Span
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
}

export interface LayerUnit extends Placed {
  readonly kind: 'layer'
  readonly node: Node
  readonly call: LayerCall
  readonly written: Written
  /** Whether anybody needs what it computes; its parameters are there in any case. */
  readonly isRun: boolean
}

export interface BlockUnit extends Placed {
  readonly kind: 'block'
  readonly instance: Instance
}

/** The net as a tree of instances. `write`: each layer in Python. */
export function instancesOf(program: Program, graph: Graph, statements: Statements, write: (node: Node) => Written): Instance {
  const root: Building = { name: '', prefix: '', units: [], inputs: [], outputs: [] }
  const calls = new Map(program.layers.map((call) => [call.name, call]))
  const places = new Map<string, { building: Building; span: Span; parent: Building }>()
  const living = livingNodes(graph)
  for (const node of graph.nodes) {
    const call = calls.get(node.layer)!
    let parent = root
    // The calls around, outermost first, and the names that they gave.
    const around = [...call.expandedFrom].reverse()
    const parts = call.name.split('.')
    around.forEach((span, depth) => {
      const prefix = `${parts.slice(0, depth + 1).join('.')}.`
      let place = places.get(prefix)
      if (!place) {
        const block = statements.blockAt(span)
        const building: Building = {
          name: parts[depth]!,
          prefix,
          units: [],
          inputs: [],
          outputs: [],
          ...(block !== undefined && { block }),
        }
        place = { building, span, parent }
        places.set(prefix, place)
        parent.units.push({
          kind: 'block',
          name: building.name,
          span,
          instance: building,
          inputs: building.inputs,
          outputs: building.outputs,
        })
      }
      parent = place.building
    })
    parent.units.push({
      kind: 'layer',
      name: parts.at(-1)!,
      span: call.span,
      node,
      call,
      written: write(node),
      inputs: node.inputs,
      outputs: node.outputs,
      isRun: living.has(node),
    })
  }
  const wanted = new Set(graph.outputs.map(({ value }) => value))
  findPorts(root, wanted)
  return root
}

type Building = Instance & { readonly units: Unit[] }

/** Nodes that a result needs. */
function livingNodes(graph: Graph): ReadonlySet<Node> {
  const makers = producers(graph)
  const living = new Set<Node>()
  const open = graph.outputs.flatMap(({ value }) => makers.get(value) ?? [])
  for (let node = open.pop(); node; node = open.pop()) {
    if (living.has(node)) continue
    living.add(node)
    open.push(...node.inputs.flatMap((read) => makers.get(read) ?? []))
  }
  return living
}

/** Finds what each instance reads of the outside, and what of it is read there (`wanted`). Gives what was made within. */
function findPorts(instance: Instance, wanted: ReadonlySet<Value>): ReadonlySet<Value> {
  const made = new Set<Value>()
  const reads = (unit: Unit): readonly Value[] => (unit.kind === 'layer' ? (unit.isRun ? unit.inputs : []) : allReads(unit.instance))
  instance.units.forEach((unit, i) => {
    if (unit.kind === 'layer') unit.outputs.forEach((value) => made.add(value))
    else {
      const later = new Set([...wanted, ...instance.units.slice(i + 1).flatMap(reads)])
      findPorts(unit.instance, later).forEach((value) => made.add(value))
    }
    for (const value of unit.kind === 'layer' ? reads(unit) : unit.instance.inputs)
      if (!made.has(value) && !instance.inputs.includes(value)) instance.inputs.push(value)
  })
  instance.outputs.push(...[...made].filter((value) => wanted.has(value)))
  return made
}

const allReads = ({ units }: Instance): readonly Value[] =>
  units.flatMap((unit) => (unit.kind === 'layer' ? (unit.isRun ? unit.inputs : []) : allReads(unit.instance)))
