import type { Numbers } from '../bundle/device.ts'
import type { TensorData } from '../bundle/format.ts'
import type { InputDeclaration, LayerCall, Program, ValueRef } from '../dsl/program.ts'
import type { AttributeCall } from '../dsl/signature.ts'

/** Layers that take one value, or several, and have neither parameters nor a window. */
const PLAIN = {
  relu: 'relu',
  sigmoid: 'sigmoid',
  silu: 'silu',
  leaky_relu: 'leakyRelu',
  clip: 'clip',
  global_avg_pool: 'globalAvgPool',
} as const

/** A layer in words that every library has: what the peers of test/bench are built from. Shapes follow from these. */
export interface PlainLayer {
  readonly op:
    | 'conv'
    | 'deconv'
    | 'batchNorm'
    | 'scale'
    | 'maxPool'
    | 'avgPool'
    | 'fc'
    | 'add'
    | 'concat'
    | 'slice'
    | (typeof PLAIN)[keyof typeof PLAIN]
  /** Letters, digits and underscores. Its value goes by the same name; the net's input is `image`. */
  readonly name: string
  /** The layer in the file, whose parameters are `LAYER.weight` and so on. */
  readonly layer: string
  readonly inputs: readonly string[]
  readonly out?: number
  readonly kernel?: number
  readonly stride?: number
  readonly pad?: number
  readonly groups?: number
  /** Rows and columns that a deconv has more at the end. */
  readonly outputPad?: readonly [number, number]
  readonly bias?: boolean
  readonly round?: 'floor' | 'ceil'
  readonly eps?: number
  /** The weight of the newest batch in the running statistics. */
  readonly newest?: number
  /** `false`: gamma and beta are 1 and 0, and not learned. */
  readonly affine?: false
  readonly slope?: number
  readonly lo?: number
  readonly hi?: number
  /** The first channel of a slice, and the first that is not taken any more (absent: all that follow are). */
  readonly from?: number
  readonly to?: number
  /** The tensors, by role, of a scale that is constants of the file. */
  readonly constants?: Readonly<Record<string, readonly number[]>>
}

export interface PlainNet {
  readonly name: string
  /** Shape of the one input: [c, h, w]. */
  readonly inputShape: readonly number[]
  /** Name of the input in the file. */
  readonly input: string
  readonly layers: readonly PlainLayer[]
  /** The layer whose value comes out, through a softmax over the classes where `softmax` says so. */
  readonly output: string
  readonly softmax: boolean
  /** Name of the output in the file. */
  readonly result: string
  /** The input whose labels it is trained with, on the mean softmax loss of `output`; or what keeps a peer from that. */
  readonly training: { readonly label: string } | string
}

/** The inference of a net as a plain list of layers, or what keeps it from being one. */
export function plainNet(program: Program): PlainNet | string {
  const { outputs, layers } = program
  const [output] = outputs
  if (!output || outputs.length > 1) return `it has ${outputs.length === 0 ? 'no output' : `${outputs.length} outputs`}`
  const last = output.value.kind === 'layer' ? layers[output.value.index]! : undefined
  if (!last) return 'its output is its input'
  const softmax = last.op === 'softmax'
  const logits = last.inputs[0]
  // Over the channels: behind these there can be no other axis that other libraries would take.
  if (softmax && !(logits?.kind === 'layer' && ['fc', 'conv'].includes(layers[logits.index]!.op)))
    return `${last.name} (softmax) does not stand behind fc or conv`
  const needed = reachedFrom(layers, softmax ? last.inputs[0]! : output.value)
  const inputs = program.inputs.filter((input) => needed.inputs.has(input.name))
  const [input] = inputs
  if (!input || inputs.length > 1 || input.type !== 'f32' || !input.batched || input.shape.length !== 3)
    return 'its input is not one batch of maps'

  const names = new Map<number, string>()
  const nameOf = (ref: ValueRef): string => (ref.kind === 'input' ? 'image' : names.get(ref.index)!)
  const plain: PlainLayer[] = []
  for (const index of needed.layers) {
    const call = layers[index]!
    // At test time it gives what it is given.
    if (call.op === 'dropout') {
      names.set(index, nameOf(call.inputs[0]!))
      continue
    }
    const made = call.op === 'normalize' ? plainNormalize(call, input) : plainLayer(call)
    if (typeof made === 'string') return made
    const name = `${call.name.replace(/\W/g, '_')}_${index}`
    names.set(index, name)
    plain.push({ ...made, name, layer: call.name, inputs: call.inputs.map(nameOf) })
  }
  return {
    name: program.name,
    inputShape: input.shape,
    input: input.name,
    layers: plain,
    output: nameOf(softmax ? last.inputs[0]! : output.value),
    softmax,
    result: output.name,
    training: trainingOf(program, softmax ? last.inputs[0]! : output.value, needed.layers),
  }
}

/** The one loss, where it is the plain one of the scores that come out, and nothing is drawn by chance. */
function trainingOf({ layers, losses, train }: Program, scores: ValueRef, needed: readonly number[]): PlainNet['training'] {
  const [loss] = losses
  if (!loss || losses.length > 1) return losses.length === 0 ? 'it has no loss' : `it has ${losses.length} losses`
  if (loss.value.kind !== 'layer') return 'its loss is an input'
  const { op, inputs: [of, label], attributes } = layers[loss.value.index]!
  const isPlain = op === 'softmax_loss' && (attributes['weight'] ?? 1) === 1 && (attributes['normalization'] ?? 'valid') === 'valid'
  const ofScores = of?.kind === 'layer' && scores.kind === 'layer' && of.index === scores.index
  if (!isPlain || !ofScores || label?.kind !== 'input') return 'its loss is not the softmax loss of what comes out'
  if ((train?.accumulate ?? 1) !== 1) return 'it accumulates gradients'
  const drawn = needed.map((index) => layers[index]!).find((call) => call.op === 'dropout')
  if (drawn) return `${drawn.name} (dropout) draws a mask, and others draw another`
  const multiplied = needed.map((index) => layers[index]!).find(({ attributes: a }) =>
    [a['lr_mult'], a['decay_mult']].some((list) => Array.isArray(list) && list.some((factor) => factor !== 1))
  )
  return multiplied ? `${multiplied.name} (${multiplied.op}) has a rate or decay of its own` : { label: label.name }
}

/**
 * The parameters of the peers' layers by their names there, from those of the net: constants of the file with them, statistics that are kept as
 * sums (`stats: caffe`) divided.
 */
export function plainParameters(net: PlainNet, parameters: ReadonlyMap<string, TensorData>): Map<string, Numbers> {
  const made = new Map<string, Numbers>()
  for (const { op, name, layer, affine, constants = {} } of net.layers) {
    const own = (role: string): Numbers | undefined => parameters.get(`${layer}.${role}`)?.data as Numbers | undefined
    const factor = own('scale_factor')?.[0]
    for (const role of ['weight', 'bias', 'gamma', 'beta', 'running_mean', 'running_var']) {
      const data = own(role)
      if (!data) continue
      const isSum = factor !== undefined && factor > 0 && role.startsWith('running_')
      made.set(`${name}.${role}`, isSum ? Float32Array.from(data as Float32Array, (sum) => sum / factor) : data)
    }
    const channels = own('running_mean')?.length ?? own('weight')?.length ?? 0
    if (affine === false) {
      made.set(`${name}.gamma`, new Float32Array(channels).fill(1))
      made.set(`${name}.beta`, new Float32Array(channels))
    }
    if (op === 'scale' && !constants['bias'] && !own('bias')) made.set(`${name}.bias`, new Float32Array(channels))
    for (const [role, values] of Object.entries(constants)) made.set(`${name}.${role}`, Float32Array.from(values))
  }
  return made
}

/** Everything that a value is computed from: layers in the order of the file, and inputs. */
function reachedFrom(layers: readonly LayerCall[], ref: ValueRef): { layers: number[]; inputs: Set<string> } {
  const found = new Set<number>()
  const inputs = new Set<string>()
  const visit = (at: ValueRef): void => {
    if (at.kind === 'input') inputs.add(at.name)
    else if (!found.has(at.index)) {
      found.add(at.index)
      layers[at.index]!.inputs.forEach(visit)
    }
  }
  visit(ref)
  return { layers: [...found].sort((a, b) => a - b), inputs }
}

/** Constants a channel: (x - mean) / std is x times one number and another added. */
function plainNormalize(call: LayerCall, input: InputDeclaration): Made | string {
  if (call.inputs[0]!.kind !== 'input') return `${call.name} (normalize) is not of the input`
  const each = (name: string): number[] => {
    const list = call.attributes[name] as readonly number[]
    return Array.from({ length: input.shape[0]! }, (_, c) => list[list.length === 1 ? 0 : c]!)
  }
  const [mean, std] = [each('mean'), each('std')]
  return { op: 'scale', constants: { weight: std.map((s) => 1 / s), bias: mean.map((m, c) => -m / std[c]!) } }
}

type Made = Omit<PlainLayer, 'name' | 'layer' | 'inputs'>

function plainLayer(call: LayerCall): Made | string {
  const no = (why: string): string => `${call.name} (${call.op}) ${why}`
  const { attributes } = call
  if (attributes['weights'] !== undefined) return no('shares its weights')
  const square = (name: string, otherwise: number): number | undefined => {
    const given = attributes[name]
    if (given === undefined) return otherwise
    return Array.isArray(given) && given[0] === given[1] ? (given[0] as number) : undefined
  }
  const window = (strideOtherwise: number): { kernel: number; stride: number; pad: number } | undefined => {
    const kernel = square('kernel', 1)
    const stride = square('stride', strideOtherwise || (kernel ?? 0))
    const pad = square('pad', 0)
    return kernel === undefined || stride === undefined || pad === undefined ? undefined : { kernel, stride, pad }
  }
  switch (call.op) {
    case 'conv':
    case 'deconv': {
      const slide = window(1)
      if (!slide) return no('has a window that is not square, or pad: same')
      if (square('dilation', 1) !== 1) return no('is dilated')
      const groups = (attributes['groups'] as number | undefined) ?? 1
      const [rows = 0, columns = 0] = (attributes['output_pad'] as readonly number[] | undefined) ?? []
      return {
        op: call.op,
        out: attributes['out'] as number,
        ...slide,
        ...(groups !== 1 && { groups }),
        ...(call.op === 'deconv' && { outputPad: [rows, columns] as const }),
        bias: attributes['bias'] !== false,
      }
    }
    case 'max_pool':
    case 'avg_pool': {
      const slide = window(0)
      if (!slide) return no('has a window that is not square, or pad: same')
      const round = attributes['round'] as 'floor' | 'ceil'
      if (call.op === 'max_pool') return { op: 'maxPool', ...slide, round }
      // Without padding they differ only in a last window that hangs over the edge, and there only from `padded`.
      const coversOnly = attributes['count'] === 'valid' || (slide.pad === 0 && (attributes['count'] !== 'padded' || round === 'floor'))
      return coversOnly ? { op: 'avgPool', ...slide, round } : no('counts its padding')
    }
    case 'batch_norm': {
      const stats = attributes['stats'] as AttributeCall | undefined
      if (stats?.call === 'batch') return no('has stats: batch')
      const newest = stats?.args['newest'] as number | undefined
      return {
        op: 'batchNorm',
        eps: attributes['eps'] as number,
        ...(newest !== undefined && { newest }),
        ...(attributes['affine'] === false && { affine: false as const }),
      }
    }
    case 'scale':
      return call.inputs.length === 1 ? { op: 'scale' } : no('multiplies by a value')
    case 'concat':
      return (attributes['axis'] ?? 1) === 1 ? { op: 'concat' } : no('does not join channels')
    case 'slice': {
      const [from, to] = [attributes['from'] as number, attributes['to'] as number | undefined]
      return attributes['axis'] === 1 && from >= 0 && (to ?? 0) >= 0 ? { op: 'slice', from, ...(to !== undefined && { to }) }
        : no('is not a part of the channels, counted from the first')
    }
    case 'fc':
      if (attributes['bias'] === false) return no('has no bias')
      return attributes['transpose'] === true ? no('is transposed') : { op: 'fc', out: attributes['out'] as number }
    case 'add':
      return call.inputs.length === 2 && attributes['coeff'] === undefined ? { op: 'add' } : no('is more than the sum of two')
    case 'clip':
      return { op: 'clip', lo: attributes['lo'] as number, hi: attributes['hi'] as number }
    case 'leaky_relu':
      return { op: 'leakyRelu', slope: attributes['slope'] as number }
    case 'relu':
    case 'sigmoid':
    case 'silu':
    case 'global_avg_pool':
      return { op: PLAIN[call.op] }
    default:
      return no('is a layer that the peers are not built from')
  }
}
