import { didYouMean } from '../../bundle/nearest.ts'
import type { ByteSource } from '../byte-source.ts'
import { ImportError, type ImportProblem } from '../import-error.ts'
import type { ModelInput, ModelLayer, ModelNet, ModelResult, Note } from '../model-net.ts'
import type { ReadOptions } from '../read-options.ts'
import { readInputs } from './inputs.ts'
import { neededNodes, readLayers } from './needed.ts'
import { withOwnStatistics } from './own-statistics.ts'
import { applyPatterns } from '../patterns/patterns.ts'
import { OPSETS } from './operators/table.ts'
import { type GraphProto, type ModelProto, readModelProto } from './proto.ts'
import { storedTensor } from './tensor-data.ts'
import { showDimensions } from './dimension.ts'
import { type Constant, parameterOf, shapeOf, type Value } from './value.ts'
import { acrossBatch } from './node.ts'
import { walkGraph } from './walk.ts'
import { quoted } from '../../bundle/quoted.ts'

/** The IR version up to which the format is known. */
const LAST_IR = 13

/**
 * A model of ONNX in the words of the language. Initializers stay in the file until the writer asks for them. Throws ImportError with
 * everything that cannot be brought.
 */
export function readOnnx(source: ByteSource, options: ReadOptions = {}): ModelNet {
  const model = readModelProto(source)
  try {
    return read(model, source, options, false)
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    const tooLong = shapesWithBatch(model, options)
    if (tooLong.length > 0) throw new ImportError([...error.problems, ...tooLong])
    if (!mayBeBare(model)) throw error
    // Some models have no batch at all: then all that they are given is one sample.
    try {
      return read(model, source, options, true)
    } catch {
      throw error
    }
  }
}

/** Shapes of `--shape` that have all axes of the model's: they say that none is the batch, but may have been meant otherwise. */
function shapesWithBatch({ graph }: ModelProto, { shapes }: ReadOptions): readonly ImportProblem[] {
  return graph.inputs.flatMap(({ name, shape }) => {
    const told = shapes?.get(name)
    if (told === undefined || told.length !== shape?.length || told.length < 2) return []
    return {
      where: `input ${name}`,
      what: `--shape gives it ${told.length} axes, as many as the model, so that none is the batch`,
      mend: `say it without the batch: --shape ${quoted(name)}=${told.slice(1).join('x')}`,
    }
  })
}

/** Whether all sizes of all inputs are told: then none of their axes must be the batch. */
function mayBeBare({ graph }: ModelProto): boolean {
  const stored = new Set(graph.initializers.map(({ name }) => name))
  const inputs = graph.inputs.filter(({ name }) => !stored.has(name))
  return inputs.every(({ shape }) => shape?.length && shape.every((dim) => typeof dim === 'number' && dim > 0))
}

/** An output that is the same for all inputs, such as the anchors of a detector: numbers that do not learn. */
function constantLayer(name: string, value: Constant): ModelLayer {
  const dims = value.shape.length === 0 ? [1] : value.shape
  return {
    op: 'parameter',
    inputs: [],
    arguments: { dims, lr_mult: 0 },
    parameters: { weight: parameterOf(value, dims) },
    output: name,
    from: [name],
  }
}

/** `bare`: no axis of the inputs is the batch. */
function read(model: ModelProto, source: ByteSource, options: ReadOptions, bare: boolean): ModelNet {
  const { graph } = model
  const problems: ImportProblem[] = []
  const notes: Note[] = []
  const opset = model.opsets.get('') ?? 0

  if (model.irVersion > LAST_IR)
    problems.push({
      where: source.name,
      what: `its IR version ${model.irVersion} is newer than ${LAST_IR}`,
      mend: 'export it for an older version of ONNX',
    })
  if (opset < 1 || opset > OPSETS.last)
    problems.push({
      where: source.name,
      what: `its operator set is ${opset || 'not told'}; ${OPSETS.first} to ${OPSETS.last} are read`,
      mend: 'onnx.version_converter brings a model to another operator set',
    })
  if (problems.length) throw new ImportError(problems)
  if (model.trainingInfo) notes.push({ about: '', kind: 'left out', text: 'training_info: the net is trained by what a train block says' })
  if (graph.sparse) problems.push({ where: source.name, what: 'it has sparse initializers', mend: 'store them as dense tensors' })

  const wanted = options.outputs ?? graph.outputs.map(({ name }) => name)
  const files = { source, beside: options.beside }
  const nodes = neededNodes(withOwnStatistics(graph, files), wanted)
  const values = new Map<string, Value>()
  const isUsed = new Set([...nodes.flatMap((node) => node.reads), ...wanted])
  for (const proto of graph.initializers) {
    if (!isUsed.has(proto.name)) continue
    try {
      const { shape, type, values: numbers } = storedTensor(proto, files)
      values.set(proto.name, { kind: 'constant', shape, type, values: numbers, name: proto.name, learned: true } satisfies Constant)
    } catch (error) {
      if (!(error instanceof ImportError)) throw error
      problems.push(...error.problems)
      values.set(proto.name, { kind: 'unknown' })
    }
  }
  const { inputs, declaredBatch } = readInputs(graph, options, (name) => isUsed.has(name), values, problems, source.name, bare)
  const shapes = new Map(inputs.map((input) => [input.value, input.shape]))
  const walked = walkGraph(model, nodes.map(({ node }) => node), {
    values,
    files,
    declaredBatch,
    notes,
    problems,
    shapes,
    fileSize: source.size,
    isRead: (name) => isUsed.has(name),
    progress: options.progress,
  })

  const results: ModelResult[] = []
  const classes = classesOf(model)
  const constants: ModelLayer[] = []
  const unknown: ImportProblem[] = []
  for (const name of wanted) {
    const value = values.get(name)
    if (value?.kind === 'tensor' && value.quantized !== undefined)
      problems.push({ where: `output ${name}`, what: 'it is made of quantized numbers', mend: 'name what was quantized with --outputs' })
    else if (value?.kind === 'tensor') {
      if (value.samples) {
        const what = `its batch is axis ${value.samples.axis} of ${showDimensions(shapeOf(value))} in the model`
        // If the model tells all sizes, its first axis is rather none.
        if (mayBeBare(model)) problems.push({ where: `output ${name}`, what, mend: 'keep the batch as the first axis in the model' })
        else notes.push({ about: `output ${name}`, kind: 'changed', text: `${what}, and in front here` })
      }
      results.push({ kind: 'output', name, value: value.name, ...namesOf(classes[name]) })
    } else if (value?.kind === 'unknown' && value.why) problems.push({ where: `output ${name}`, what: value.why })
    else if (value?.kind === 'constant') {
      if (value.dimensions)
        problems.push({
          where: `output ${name}`,
          what: 'it is a shape, which depends on the batch',
          mend: 'name the outputs that are wanted with --outputs',
        })
      else {
        constants.push(constantLayer(name, value))
        results.push({ kind: 'output', name, value: name })
      }
    } else if (!value && problems.length === 0) {
      unknown.push(unknownOutput(graph, name))
    }
  }
  problems.push(...unknown)
  if (wanted.length === 0) problems.push({ where: source.name, what: 'it has no outputs' })
  if (problems.length) throw new ImportError(problems)
  const layers = applyPatterns(
    [...readLayers(walked, results.map(({ value }) => value)), ...constants],
    new Set(results.map(({ value }) => value)),
    shapes,
  )
  const acrossSamples = layers.filter(({ op, arguments: { axes } }) => op === 'reduce_mean' && Array.isArray(axes) && axes.includes(0))
  if (acrossSamples.length > 0)
    throw new ImportError(acrossSamples.map(({ from: [where = ''] }) => ({ where, ...acrossBatch('it reduces') })))
  if (bare) notes.push({ about: '', kind: 'changed', text: 'no axis of its inputs is the batch: an input is one sample' })
  const used = new Set([...layers.flatMap((layer) => layer.inputs), ...results.map((result) => result.value)])
  return {
    name: source.name.replace(/\.[^.]*$/, ''),
    inputs: inputs.filter((input: ModelInput) => used.has(input.value)),
    layers,
    results,
    notes,
    facts: {
      format: 'ONNX',
      ir: model.irVersion,
      opset,
      ...(model.producer && { producer: model.producer }),
      ...(model.metadata.size > 0 && { metadata: Object.fromEntries(model.metadata) }),
    },
  }
}

/** What `fusenet export` wrote: the names of classes (or their number) by outputs. Other exporters may mean anything by the word. */
function classesOf({ metadata }: ModelProto): Readonly<Record<string, unknown>> {
  try {
    const classes: unknown = JSON.parse(metadata.get('classes') ?? '{}')
    return typeof classes === 'object' && classes !== null ? classes as Record<string, unknown> : {}
  } catch {
    return {}
  }
}

const namesOf = (names: unknown): { classes?: readonly string[] } =>
  Array.isArray(names) && names.every((name) => typeof name === 'string') ? { classes: names } : {}

/** A name of `--outputs` that no value has: that of a node, or part of one, leads to values. */
function unknownOutput(graph: GraphProto, name: string): ImportProblem {
  const made = graph.nodes.flatMap(({ outputs }) => outputs[0] || [])
  const ofNode = graph.nodes.find((node) => node.name === name)?.outputs[0]
  const alike = made.filter((each) => each.toLowerCase().includes(name.toLowerCase()))
  return {
    where: `output ${name}`,
    what: ofNode ? 'it is the name of a node, not of a value' : `the model has no value of this name${didYouMean(name, made)}`,
    mend: ofNode
      ? `the node's value is ${ofNode}`
      : alike.length > 0
      ? `${alike.length === 1 ? 'one has' : `${alike.length} values have`} it in the name: ${alike.slice(-5).join(', ')}`
      : `the last of its ${made.length} values are ${made.slice(-5).join(', ')}`,
  }
}
