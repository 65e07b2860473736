import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { LayerCall, Program } from '../../dsl/program.ts'
import { type Span, textOf } from '../../dsl/source.ts'
import type { Graph, Node } from '../graph/graph.ts'
import type { Operator } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'

/** Arguments that say how a parameter starts, and its role. */
const STARTS: ReadonlyMap<string, string> = new Map([
  ['weight_init', 'weight'],
  ['bias_init', 'bias'],
  ['gamma', 'gamma'],
  ['beta', 'beta'],
])
const RATES = ['lr_mult', 'decay_mult']
/** Arguments that leave parameters out. */
const SWITCHES = ['bias', 'affine']

/**
 * Warnings of arguments that are written and change nothing, `argument/idle`: of a parameter that the same call leaves out, or of one that belongs to
 * another layer (`weights: other`), unless that one says the same, or of one that another argument overrules. Where a block decides by an argument of its own whether there is a bias, nothing
 * is said.
 */
export function idleArguments(program: Program, graph: Graph, operators: ReadonlyMap<string, Operator>): Diagnostic[] {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const calls = new Map(program.layers.map((call) => [call.name, call]))
  return program.layers.flatMap((call) => {
    const node = nodes.get(call.name)
    if (!node) return []
    const { weights } = call.attributes
    return [
      ...(typeof weights === 'string' ? ofSharing(call, calls.get(weights)!) : ofLeftOut(call, node)),
      ...ofOverruled(call, node, operators),
    ]
  })
}

function ofSharing(call: LayerCall, owner: LayerCall): Diagnostic[] {
  const says = (layer: LayerCall, name: string): string => JSON.stringify(layer.attributes[name])
  return [...STARTS.keys(), 'slope', ...RATES].flatMap((name) => {
    const span = call.attributeSpans[name]
    if (!span || says(call, name) === says(owner, name)) return []
    const why = call.attributeSpans['weights'] ?? call.span
    return [idle(name, call, span, why, `its parameters are those of ${owner.name}`, `write ${name} in ${owner.name}`)]
  })
}

function ofLeftOut(call: LayerCall, node: Node): Diagnostic[] {
  const off = SWITCHES.find((name) => call.attributes[name] === false && /\bfalse$/.test(textOf(call.attributeSpans[name] ?? call.span)))
  const at = off && call.attributeSpans[off]
  if (!at) return []
  const hint = `leave one of the two out: ${off}: false, or this`
  const starts = [...STARTS].flatMap(([name, role]) => {
    const span = call.attributeSpans[name]
    return span && !node.parameters[role] ? [idle(name, call, span, at, `${off}: false leaves the ${role} out`, hint)] : []
  })
  const count = off === 'bias' ? 1 : 0
  const rates = RATES.flatMap((name) => {
    const span = call.attributeSpans[name]
    const factors = call.attributes[name]
    const given = Array.isArray(factors) ? factors.length : 1
    if (!span || given <= count) return []
    const what = count === 0 ? name : `the second factor of ${name}`
    return [idle(what, call, span, at, `${off}: false leaves ${count === 0 ? 'nothing to learn' : 'the bias out'}`, hint)]
  })
  return [...starts, ...rates]
}

/** The value of an argument without its name, as it is written. */
const written = (span: Span): string => textOf(span).replace(/^\w+\s*:\s*/, '')
/** Whether a text is a number, or a list of them, and no name. */
const isNumber = (text: string): boolean => /^[-+\d.e[\],\s]*$/.test(text)
const isLiteral = (text: string, value: unknown): boolean =>
  isNumber(text) || text === 'true' || text === 'false' || (typeof value === 'string' && text === value)

function ofOverruled(call: LayerCall, node: Node, operators: ReadonlyMap<string, Operator>): Diagnostic[] {
  const overruled = traitsOf(operators, { op: call.op }).idle?.(node.attributes) ?? []
  return overruled.flatMap(({ name, by, value, why }) => {
    const span = call.attributeSpans[name]
    if (!span) return []
    const at = call.attributeSpans[by]
    const cause = at && written(at)
    // In a block an argument of its own may decide on both.
    if (cause !== undefined && (isNumber(value) ? !isNumber(cause) : !cause.includes(value))) return []
    if (!isLiteral(written(span), call.attributes[name])) return []
    return [idle(name, call, span, at ?? call.span, why, `leave ${name} out`)]
  })
}

const idle = (what: string, call: LayerCall, span: Span, why: Span, reason: string, hint: string): Diagnostic => ({
  severity: 'warning',
  code: 'argument/idle',
  message: `${what} of ${call.name} changes nothing: ${reason}`,
  labels: [{ span, text: 'here' }, { span: why, text: 'because of this' }],
  hint,
})
