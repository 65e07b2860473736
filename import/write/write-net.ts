import { elementCount } from '../../bundle/sizes.ts'
import { buildGraph } from '../../compiler/front-end/build-graph.ts'
import { frontEnd } from '../../compiler/front-end/front-end.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { type Diagnostic, loadProgram } from '../../dsl/index.ts'
import { ImportError, type ImportProblem } from '../import-error.ts'
import type { ModelLayer, ModelNet, ModelTensor, Note } from '../model-net.ts'
import { argumentTexts, signatureOf, Unsayable } from './argument-text.ts'
import { checkModel } from './check-handed-in.ts'
import { netText, resultNames, type ResultNames } from './net-text.ts'
import { ownsParameters } from './layer-names.ts'
import { trainText } from './train-text.ts'
import { flatPlan, type Plan } from './plan.ts'
import { growingConcats } from './growing-concats.ts'
import { readable, type Reference } from './readable.ts'

/** A parameter under its name in the text. */
export interface NamedTensor {
  readonly name: string
  readonly tensor: ModelTensor
}

export interface LayerRow {
  /** Full name in the text. */
  readonly name: string
  readonly op: string
  /** Its name in the model, and the nodes that it stands for. */
  readonly model: string
  readonly from: readonly string[]
}

/** A net as text and tensors. */
export interface WrittenNet {
  /** The name of the net. */
  readonly name: string
  /** The `.net` text; `fmt` leaves it as it is. */
  readonly text: string
  /** What goes to the file of weights, in the order of the layers. */
  readonly tensors: readonly NamedTensor[]
  /** Names of inputs and results: the model's, the text's. */
  readonly inputs: readonly { readonly model: string; readonly name: string; readonly shape: readonly number[] }[]
  readonly outputs: readonly { readonly model: string; readonly name: string; readonly kind: 'output' | 'loss' | 'metric' }[]
  /** Layers that own parameters. */
  readonly layers: readonly LayerRow[]
  readonly notes: readonly Note[]
  /** The numbers that the net learns or keeps, whether the model brings them or not. */
  readonly parameterCount: number
}

/**
 * Writes a model as a person would write it. Throws ImportError with all problems: what the language cannot say, shapes that do not meet,
 * parameters that are missing or have another shape than the layer; InputError for what is no model.
 */
export function writeNet(model: ModelNet): WrittenNet {
  checkModel('writeNet', model)
  const { net, notes } = withoutUnread({ ...model, layers: growingConcats(model.layers) })
  refuse(unsayable(net))
  const names = resultNames(net)
  const flat = flatPlan(net)
  // Each layer by itself, in the model's order: the reference for what is written, and where mistakes have a place.
  const reference = checked(net, netText(net, flat, names, { plain: true }))
  refuse(parameterProblems(net, reference, flat))
  const { text, plan } = readable(net, names, reference, flat)
  const parameters = reference.graph.parameters.reduce((sum, { value }) => sum + elementCount(value.shape as readonly number[]), 0)
  return { ...written(net, plan, names, text, [...model.notes, ...notes]), parameterCount: parameters }
}

/** Layers that no result needs are left out. */
function withoutUnread(model: ModelNet): { net: ModelNet; notes: Note[] } {
  const needed = new Set(model.results.map(({ value }) => value))
  const kept: ModelLayer[] = []
  const notes: Note[] = []
  for (const layer of [...model.layers].reverse()) {
    if (!needed.has(layer.output)) {
      notes.unshift({ about: layer.name ?? layer.from[0] ?? layer.output, kind: 'left out', text: 'no output needs it' })
      continue
    }
    kept.unshift(layer)
    for (const input of layer.inputs) if (typeof input === 'string') needed.add(input)
    if (layer.sharesWith !== undefined) needed.add(layer.sharesWith)
  }
  return { net: { ...model, layers: kept }, notes }
}

const called = (layer: ModelLayer): string => layer.name ?? layer.from[0] ?? layer.output

function refuse(problems: readonly ImportProblem[]): void {
  if (problems.length > 0) throw new ImportError(problems)
}

/** Calls that the language does not have, or not with these arguments; values that nothing makes. */
function unsayable(net: ModelNet): ImportProblem[] {
  const known = new Set(net.inputs.map(({ value }) => value))
  const problems: ImportProblem[] = []
  for (const layer of net.layers) {
    const signature = signatureOf(layer.op)
    if (!signature) problems.push({ where: called(layer), what: `the language has no layer ${layer.op}` })
    else {
      try {
        argumentTexts(signature, layer.arguments)
      } catch (error) {
        if (!(error instanceof Unsayable)) throw error
        problems.push({ where: called(layer), what: error.message })
      }
    }
    for (const input of layer.inputs) {
      if (typeof input === 'string' && !known.has(input))
        problems.push({ where: called(layer), what: `it reads ${input}, which nothing before it makes` })
    }
    if (known.has(layer.output)) problems.push({ where: called(layer), what: `there are two values ${layer.output}` })
    known.add(layer.output)
  }
  for (const { name, value } of net.results)
    if (!known.has(value)) problems.push({ where: name, what: `nothing makes the value ${value}` })
  if (net.results.length === 0) problems.push({ where: net.name, what: 'the model has no output' })
  return [...problems, ...unsayableTraining(net)]
}

/** A number of the train block that the language cannot write, infinity above all. */
function unsayableTraining({ training }: ModelNet): ImportProblem[] {
  try {
    if (training) trainText(training)
    return []
  } catch (error) {
    if (!(error instanceof Unsayable)) throw error
    return [{ where: 'training', what: error.message }]
  }
}

/** Reads the text that holds each layer as a statement of its own. Mistakes in it are the model's: they are told by its layers. */
function checked(net: ModelNet, text: string): Reference {
  const whole = frontEnd(text, { allowOneValue: true })
  if (whole.program && whole.graph) return { program: whole.program, graph: whole.graph }
  const { program, diagnostics } = loadProgram({ file: `${net.name}.net`, text }, { vocabulary })
  const problem = ({ message, labels, hint }: Diagnostic): ImportProblem => {
    const span = labels[0]?.span
    const at = program?.layers.findIndex((layer) => span && layer.span.start <= span.start && layer.span.end >= span.end) ?? -1
    const layer = net.layers[at]
    const said = span ? text.slice(span.start, span.end).replace(/\s+/g, ' ').slice(0, 100) : net.name
    return { where: layer ? called(layer) : said, what: message, ...(hint !== undefined && { mend: hint }) }
  }
  const told = program ? buildGraph(program, { operators }).diagnostics : diagnostics
  const all = [...told, ...whole.diagnostics].filter(({ severity }) => severity === 'error')
  throw new ImportError(all.filter((one, i) => all.findIndex(({ message }) => message === one.message) === i).map(problem))
}

/** Parameters that a layer has too many or too few, or of another shape. */
function parameterProblems(net: ModelNet, { graph }: Reference, plan: Plan): ImportProblem[] {
  const wanted = new Map<string, Map<string, readonly number[]>>()
  for (const { layer, name, value } of graph.parameters) {
    const roles = wanted.get(layer) ?? wanted.set(layer, new Map()).get(layer)!
    roles.set(name.slice(layer.length + 1), value.shape as readonly number[])
  }
  const problems: ImportProblem[] = []
  for (const layer of net.layers) {
    if (!layer.parameters) continue
    const where = called(layer)
    const roles = wanted.get(plan.layerNames.get(layer) ?? '') ?? new Map<string, readonly number[]>()
    for (const [role, shape] of roles) {
      const found = layer.parameters[role]
      if (!found) problems.push({ where, what: `the model has no ${role} for it` })
      else if (JSON.stringify(found.shape) !== JSON.stringify(shape))
        problems.push({ where, what: `its ${role} is [${found.shape.join(', ')}], and ${layer.op} here wants [${shape.join(', ')}]` })
    }
    for (const role of Object.keys(layer.parameters))
      if (!roles.has(role)) problems.push({ where, what: `the model has a ${role} for it, which ${layer.op} with these arguments has not` })
  }
  return problems
}

function written(net: ModelNet, plan: Plan, names: ResultNames, text: string, notes: readonly Note[]): Omit<WrittenNet, 'parameterCount'> {
  const owners = net.layers.filter((layer) => ownsParameters(layer))
  const tensors = owners.flatMap((layer) =>
    Object.entries(layer.parameters ?? {}).map(([role, tensor]): NamedTensor => ({
      name: `${plan.layerNames.get(layer)!}.${role}`,
      tensor,
    }))
  )
  return {
    name: /net (\w+) \{/.exec(text)![1]!,
    text,
    tensors,
    inputs: net.inputs.map(({ value, shape }) => ({ model: value, name: names.inputs.get(value)!, shape })),
    outputs: net.results.map((result) => ({ model: result.name, name: names.results.get(result)!, kind: result.kind })),
    layers: owners.map((layer) => ({ name: plan.layerNames.get(layer)!, op: layer.op, model: called(layer), from: layer.from })),
    notes,
  }
}
