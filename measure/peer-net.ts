import type { InputDeclaration, LayerCall, Program, ValueRef } from '../dsl/program.ts'
import type { AttributeCall } from '../dsl/signature.ts'

/** A layer in words that every library has: what the peers of test/bench are built from. Shapes follow from these. */
export interface PlainLayer {
  readonly op: 'conv' | 'batchNorm' | 'relu' | 'maxPool' | 'avgPool' | 'globalAvgPool' | 'fc' | 'add'
  /** Letters, digits and underscores. Its value goes by the same name; the net's input is `image`. */
  readonly name: string
  /** The layer in the file, whose parameters are `LAYER.weight` and so on. */
  readonly layer: string
  readonly inputs: readonly string[]
  readonly out?: number
  readonly kernel?: number
  readonly stride?: number
  readonly pad?: number
  readonly bias?: boolean
  readonly round?: 'floor' | 'ceil'
  readonly eps?: number
  /** Of a batchNorm that is constants of the file: its tensors, by role. */
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
  if (softmax && !(logits?.kind === 'layer' && layers[logits.index]!.op === 'fc')) return `${last.name} (softmax) does not stand behind fc`
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
  }
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

/** Constants a channel are a normalization with stored statistics, 1 and 0 as gamma and beta. */
function plainNormalize(call: LayerCall, input: InputDeclaration): Made | string {
  if (call.inputs[0]!.kind !== 'input') return `${call.name} (normalize) is not of the input`
  const each = (name: string): number[] => {
    const list = call.attributes[name] as readonly number[]
    return Array.from({ length: input.shape[0]! }, (_, c) => list[list.length === 1 ? 0 : c]!)
  }
  const std = each('std')
  return {
    op: 'batchNorm',
    eps: 0,
    constants: { gamma: std.map(() => 1), beta: std.map(() => 0), running_mean: each('mean'), running_var: std.map((s) => s * s) },
  }
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
    case 'conv': {
      const slide = window(1)
      if (!slide) return no('has a window that is not square, or pad: same')
      if ((attributes['groups'] ?? 1) !== 1) return no('has groups')
      if (square('dilation', 1) !== 1) return no('is dilated')
      return { op: 'conv', out: attributes['out'] as number, ...slide, bias: attributes['bias'] !== false }
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
      const stats = (attributes['stats'] as AttributeCall | undefined)?.call ?? 'moving'
      if (stats !== 'moving') return no(`has stats: ${stats}`)
      if (attributes['affine'] === false) return no('has no gamma and beta')
      return { op: 'batchNorm', eps: attributes['eps'] as number }
    }
    case 'fc':
      if (attributes['bias'] === false) return no('has no bias')
      return attributes['transpose'] === true ? no('is transposed') : { op: 'fc', out: attributes['out'] as number }
    case 'add':
      return call.inputs.length === 2 && attributes['coeff'] === undefined ? { op: 'add' } : no('is more than the sum of two')
    case 'relu':
      return { op: 'relu' }
    case 'global_avg_pool':
      return { op: 'globalAvgPool' }
    default:
      return no('is a layer that the peers are not built from')
  }
}
