import type { Argument, ModelLayer } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'

/**
 * A term that layers are compared with. A bare name is any value, the same wherever the name stands again. `number` is one that is the same
 * for all samples: written as an operand, or a tensor of one element. `tensor` is a `parameter`.
 */
export type Term = string | NumberTerm | TensorTerm | CallTerm | OneOf

export interface NumberTerm {
  readonly kind: 'number'
  readonly name?: string
  readonly equals?: number
}
export interface TensorTerm {
  readonly kind: 'tensor'
  readonly name: string
}
export interface CallTerm {
  readonly kind: 'call'
  readonly op: string | readonly string[]
  readonly inputs: readonly Term[]
  /** The name under which a match keeps the layer. */
  readonly as?: string
  readonly where?: (arguments_: Readonly<Record<string, Argument>>) => boolean
}
export interface OneOf {
  readonly kind: 'one of'
  readonly terms: readonly Term[]
}

export const number = (equals?: number): NumberTerm => ({ kind: 'number', ...(equals === undefined ? {} : { equals }) })
export const numberAs = (name: string): NumberTerm => ({ kind: 'number', name })
export const tensor = (name: string): TensorTerm => ({ kind: 'tensor', name })
export const oneOf = (...terms: Term[]): OneOf => ({ kind: 'one of', terms })
export const call = (op: string | readonly string[], inputs: readonly Term[], more: Pick<CallTerm, 'as' | 'where'> = {}): CallTerm => ({
  kind: 'call',
  op,
  inputs,
  ...more,
})

/** x times a number, in the spellings that exporters have for it. */
export const times = (x: Term, factor: number): Term => oneOf(call('mul', [x, number(factor)]), call('div', [x, number(1 / factor)]))
/** x plus a number. */
export const plus = (x: Term, summand: number): Term => oneOf(call('add', [x, number(summand)]), call('sub', [x, number(-summand)]))

export interface Match {
  readonly values: ReadonlyMap<string, string>
  readonly numbers: ReadonlyMap<string, number>
  readonly layers: ReadonlyMap<string, ModelLayer>
  /** All layers that the term covers, the last one first. */
  readonly covered: readonly ModelLayer[]
}

interface State {
  readonly values: Readonly<Record<string, string>>
  readonly numbers: Readonly<Record<string, number>>
  readonly layers: Readonly<Record<string, ModelLayer>>
  readonly covered: readonly ModelLayer[]
}

/** x x, and x x x. */
export const square = (x: Term): Term => oneOf(call('pow', [x], { where: ({ exponent }) => exponent === 2 }), call('mul', [x, x]))
export const cube = (x: Term): Term => oneOf(call('pow', [x], { where: ({ exponent }) => exponent === 3 }), call('mul', [x, square(x)]))

/** Operators whose two operands may stand in either order. */
const COMMUTES = new Set(['add', 'mul', 'max', 'min'])

/**
 * Compares a layer and those before it with a term. Covered layers but the last have no readers outside of the match and are no results:
 * rewriting takes nothing from anybody.
 */
export function match(graph: LayerGraph, root: ModelLayer, term: Term): Match | undefined {
  const found = matchTerm(graph, root.output, term, { values: {}, numbers: {}, layers: {}, covered: [] }, (state) => {
    const covered = new Set(state.covered)
    if (graph.isShared(root.output)) return undefined
    return state.covered.every((layer) => layer === root || graph.isInner(layer.output, covered)) ? state : undefined
  })
  return found && {
    values: new Map(Object.entries(found.values)),
    numbers: new Map(Object.entries(found.numbers)),
    layers: new Map(Object.entries(found.layers)),
    covered: [...new Set(found.covered)],
  }
}

/** What comes after a part that fits: the rest of the term. Undefined where it does not fit, so that another order is tried. */
type Rest = (state: State) => State | undefined

function matchTerm(graph: LayerGraph, value: string | number, term: Term, state: State, rest: Rest): State | undefined {
  if (typeof term === 'string') {
    if (typeof value === 'number') return undefined
    if (state.values[term] !== undefined) return state.values[term] === value ? rest(state) : undefined
    return rest({ ...state, values: { ...state.values, [term]: value } })
  }
  if (term.kind === 'one of') {
    for (const one of term.terms) {
      const found = matchTerm(graph, value, one, state, rest)
      if (found) return found
    }
    return undefined
  }
  if (term.kind === 'number') {
    const constant = numberOf(graph, value)
    if (constant === undefined || (term.equals !== undefined && !isNearly(constant, term.equals))) return undefined
    return rest(term.name === undefined ? state : { ...state, numbers: { ...state.numbers, [term.name]: constant } })
  }
  const maker = graph.maker(value)
  if (!maker) return undefined
  if (term.kind === 'call') return matchCall(graph, maker, term, state, rest)
  return graph.tensor(value) ? rest({ ...state, layers: { ...state.layers, [term.name]: maker } }) : undefined
}

function matchCall(graph: LayerGraph, layer: ModelLayer, term: CallTerm, state: State, rest: Rest): State | undefined {
  if (typeof term.op === 'string' ? layer.op !== term.op : !term.op.includes(layer.op)) return undefined
  if (layer.inputs.length !== term.inputs.length || term.where?.(layer.arguments) === false) return undefined
  if ('coeff' in layer.arguments) return undefined
  const covered: State = {
    ...state,
    covered: [...state.covered, layer],
    ...(term.as === undefined ? {} : { layers: { ...state.layers, [term.as]: layer } }),
  }
  const inOrder = (inputs: readonly (string | number)[], position: number, state: State): State | undefined =>
    position === inputs.length ? rest(state) : matchTerm(graph, inputs[position]!, term.inputs[position]!, state, (next) =>
      inOrder(inputs, position + 1, next))
  const found = inOrder(layer.inputs, 0, covered)
  return found ??
    (COMMUTES.has(layer.op) && layer.inputs.length === 2 ? inOrder([layer.inputs[1]!, layer.inputs[0]!], 0, covered) : undefined)
}

/** A number that is the same for all samples and positions. */
export function numberOf(graph: LayerGraph, value: string | number): number | undefined {
  if (typeof value === 'number') return value
  const tensor = graph.tensor(value)
  return tensor && tensor.shape.every((size) => size === 1) ? tensor.values()[0] : undefined
}

/** Equal to what float32 and the digits that exporters print can tell apart. */
export const isNearly = (value: number, wanted: number): boolean => Math.abs(value - wanted) <= 2e-6 * Math.abs(wanted)
