import { elementCount } from '../../bundle/sizes.ts'
import type { Argument, ModelLayer, ModelTensor, Note } from '../model-net.ts'
import type { CaffeLayer } from './dataflow.ts'
import { fillerOf } from './filler.ts'
import type { Message } from './message.ts'
import type { Blob, NetBuilder } from './net-builder.ts'
import type { FileBlob } from './weights.ts'

/** Thrown to leave a layer after its problem was told. */
class Skip extends Error {}

/** Layers of the language for a layer of Caffe. What it cannot be is told in the problems of the net. */
export function convertLayer(net: NetBuilder, layer: CaffeLayer, converter: (view: LayerView) => readonly Blob[]): void {
  const bottoms = layer.bottoms.map((ref) => net.blob(ref))
  if (bottoms.length < layer.message.texts('bottom').length || bottoms.includes(undefined)) return
  try {
    net.define(layer, converter(new LayerView(net, layer, bottoms as Blob[])))
  } catch (error) {
    if (!(error instanceof Skip)) throw error
  }
}

/** What becomes of the parameters of a layer. */
export interface Parameters {
  readonly parameters?: Readonly<Record<string, ModelTensor>>
  readonly sharesWith?: string
  readonly arguments: Readonly<Record<string, Argument>>
}

export type Role = readonly [role: string, shape: readonly number[], filler?: string]

/** One layer of Caffe, as its converter sees it. */
export class LayerView {
  readonly net: NetBuilder
  readonly layer: CaffeLayer
  readonly bottoms: readonly Blob[]
  readonly message: Message
  private inner = 0
  private parts = 0

  constructor(net: NetBuilder, layer: CaffeLayer, bottoms: readonly Blob[]) {
    this.net = net
    this.layer = layer
    this.bottoms = bottoms
    this.message = layer.message
  }

  /** The bottom as numbers of a known shape. Tells where it has none. */
  x(i = 0): Blob {
    const blob = this.bottoms[i] ?? this.refuse(`it reads ${this.bottoms.length} blobs, and ${i + 1} are needed`)
    if (blob.scalar)
      this.refuse(`it works on a loss (${blob.value}); losses are added up by themselves here`, 'say the factor as loss_weight of the loss')
    if (blob.source) {
      blob.source.numbers = true
      if (blob.source.dims === undefined) {
        this.net.wantsShape(blob.source.value)
        throw new Skip()
      }
    }
    return blob
  }

  /** All bottoms as numbers. */
  xs(): readonly Blob[] {
    return this.bottoms.map((_, i) => this.x(i))
  }

  param(name: string): Message {
    return this.message.sub(name)
  }

  /** The blob of the layer's i-th weights in the weights' file. */
  fileBlobs(): readonly FileBlob[] | undefined {
    return this.net.options.fileLayers?.get(this.layer.name)?.blobs
  }

  problem(what: string, mend?: string): void {
    this.net.problems.push({ where: this.layer.where, what, ...(mend !== undefined && { mend }) })
  }

  refuse(what: string, mend?: string): never {
    this.problem(what, mend)
    throw new Skip()
  }

  note(kind: Note['kind'], text: string): void {
    this.net.note(`layer ${this.layer.name}`, kind, text)
  }

  /**
   * Adds a layer of the language; its value is that of the `top`-th blob, or one between.
   * `named` lets it have the layer's name: the one that parameters are called after.
   */
  emit(
    op: string,
    inputs: readonly (Blob | number)[],
    dims: readonly number[],
    args: Readonly<Record<string, Argument>> = {},
    { top, named = true, parameters }: { top?: number; named?: boolean; parameters?: Parameters } = {},
  ): Blob {
    const value = top === undefined ? this.net.value(`${this.layer.name}/${++this.inner}`) : this.topValue(top)
    if (parameters && parameters.sharesWith === undefined) this.net.owning.set(this.layer, value)
    const isFirst = named && this.parts++ === 0
    const layer: ModelLayer = {
      op,
      ...(isFirst && this.layer.name !== '' && { name: this.layer.name }),
      inputs: inputs.map((input) => (typeof input === 'number' ? input : input.value)),
      arguments: { ...args, ...parameters?.arguments },
      ...(parameters?.parameters && { parameters: parameters.parameters }),
      ...(parameters?.sharesWith !== undefined && { sharesWith: parameters.sharesWith }),
      output: value,
      from: [this.layer.name],
    }
    this.net.layers.push(layer)
    this.net.makers.set(value, layer)
    return { value, dims }
  }

  /** The name of a top's value: the blob's, or the layer's own where it works in place. */
  topValue(top: number): string {
    const blob = this.layer.tops[top] ?? this.layer.name
    return this.net.value(this.message.texts('bottom').includes(blob) && this.layer.name !== '' ? this.layer.name : blob)
  }

  /** One after the other, each of the shape of x; without any, x itself. */
  chain(
    x: Blob,
    steps: readonly (readonly [op: string, args: Readonly<Record<string, Argument>>, before?: number, after?: number])[],
    top = 0,
  ): Blob {
    return steps.reduce((value, [op, args, before, after], i) => {
      const inputs = [...(before === undefined ? [] : [before]), value, ...(after === undefined ? [] : [after])]
      return this.emit(op, inputs, x.dims, args, { named: false, ...(i === steps.length - 1 && { top }) })
    }, x)
  }

  /** A loss where the net learns and the layer is part of training, else a metric. */
  loss(
    op: string,
    inputs: readonly Blob[],
    args: Readonly<Record<string, Argument>>,
    { isLoss = true, heads = inputs.slice(0, 1) }: { isLoss?: boolean; heads?: readonly Blob[] } = {},
  ): Blob {
    const weight = this.message.numbers('loss_weight')[0] ?? (isLoss ? 1 : 0)
    const blob = this.emit(op, inputs, [], args, { top: 0 })
    const kind = this.layer.train && weight !== 0 ? 'loss' : 'metric'
    const name = this.layer.tops[0] ?? this.layer.name
    const made = ({ softmax_loss: 'softmax', sigmoid_loss: 'sigmoid' } as const)[op as 'softmax_loss']
    if (kind === 'loss') { for (const { value } of heads) this.net.heads.push({ value, loss: name, ...(made && { function: made }) }) }
    this.net.results.push({ kind, name, value: blob.value, ...(kind === 'loss' && weight !== 1 && { weight }) })
    return { ...blob, scalar: true }
  }

  /** The labels that a loss or a metric reads, one a position of scores [C, ...positions]. */
  labels(i: number, classes: number, positions: readonly number[]): Blob {
    const blob = this.bottoms[i] ?? this.refuse('it has no labels')
    if (!blob.source) {
      this.refuse(
        `its labels are made by layers of the net (${blob.value}); labels are inputs here`,
        'give it an input of labels of its own',
      )
    }
    const { source } = blob
    const one = elementCount(positions) === 1
    if (source.dims !== undefined && elementCount(source.dims) !== elementCount(positions)) {
      this.refuse(`${source.value} has ${elementCount(source.dims)} labels a sample, and the scores ${elementCount(positions)} positions`)
    }
    if (source.classes !== undefined && source.classes !== classes) {
      this.refuse(`${source.value} are labels of ${source.classes} classes elsewhere, and of ${classes} here`)
    }
    source.classes = classes
    source.dims = one ? [] : positions
    return blob
  }

  /** The parameters of a layer, by role, in the order of Caffe's blobs. `fillers` is whether arguments say how they start. */
  parameters(roles: readonly Role[]): Parameters {
    const specs = this.message.messages('param')
    if (specs.length > roles.length) this.refuse(`it has ${specs.length} \`param\`, and ${roles.length} parameters`)
    const shared = this.shared(roles, specs)
    if (shared !== undefined) return { sharesWith: shared, arguments: {} }
    const rates = (name: string): readonly number[] => roles.map((_, i) => specs[i]?.number(name, 1) ?? 1)
    const args: Record<string, Argument> = {}
    for (const name of ['lr_mult', 'decay_mult']) if (rates(name).some((rate) => rate !== 1)) args[name] = rates(name)
    const tensors = this.tensors(roles)
    return tensors ? { parameters: tensors, arguments: args } : { arguments: args }
  }

  /** The weights of the file for the roles. Problems: another number of blobs, other shapes. */
  tensors(roles: readonly Role[]): Record<string, ModelTensor> | undefined {
    const { fileLayers } = this.net.options
    if (!fileLayers) return undefined
    const blobs = this.fileBlobs()
    if (!blobs) {
      this.net.bare.push(this.layer.name)
      return undefined
    }
    this.net.used.add(this.layer.name)
    // Told without an end, so that the layers behind it are looked at too.
    if (blobs.length !== roles.length) {
      this.problem(`${this.weightsName()} has ${blobs.length} blobs for it, and it has ${roles.length} parameters`)
      return undefined
    }
    const squeezed = (dims: readonly number[]): string => dims.filter((dim) => dim !== 1).join()
    return Object.fromEntries(roles.map(([role, shape], i) => {
      const blob = blobs[i]!
      // Blobs of four axes, as the first versions wrote them, have ones in front of what is there.
      if (squeezed(blob.shape) !== squeezed(shape)) {
        this.problem(
          `its ${role} is [${shape.join(', ')}], and [${blob.shape.join(', ')}] in ${this.weightsName()}`,
          'the weights are those of another net; leave them out or rename the layer, and they start anew',
        )
      }
      return [role, { shape, values: blob.values }]
    }))
  }

  private weightsName(): string {
    return this.net.options.weights?.name ?? 'the weights'
  }

  /** The value of the layer whose parameters this one uses, by the names in `param`. */
  private shared(roles: readonly Role[], specs: readonly Message[]): string | undefined {
    const names = roles.map((_, i) => specs[i]?.text('name', '') ?? '')
    const owners = names.map((name) => (name === '' ? undefined : this.net.owners.get(name)))
    const [first] = owners
    const value = first && this.net.owning.get(first.layer)
    if (
      value !== undefined && owners.every((owner, i) => owner?.layer === first!.layer && owner.role === i && owner.roles === roles.length)
    ) {
      this.net.used.add(this.layer.name)
      return value
    }
    if (owners.some((owner) => owner !== undefined)) {
      this.refuse(
        'it shares some of its parameters with other layers, not all with one',
        'two layers share all of their parameters here: name each of them in `param` of both, in the same order',
      )
    }
    names.forEach((name, role) => {
      if (name !== '') this.net.owners.set(name, { layer: this.layer, role, roles: roles.length })
    })
    return undefined
  }

  /** How parameters start, where no weights are given: `weight_init: gaussian(std: 0.01)`. */
  fillers(param: Message, fields: Readonly<Record<string, string>>): Record<string, Argument> {
    if (this.fileBlobs()) return {}
    const args: Record<string, Argument> = {}
    for (const [field, argument] of Object.entries(fields)) {
      const filler = param.message(field)
      if (filler) {
        const call = fillerOf(filler, (text) => this.note('differs', text))
        const isStart = argument === 'bias_init' && filler.text('type', 'constant') === 'constant' && filler.number('value', 0) === 0
        if (call !== undefined && !isStart) args[argument] = call
      } else if (field === 'weight_filler') this.net.fillerless.push(this.layer.name)
    }
    return args
  }
}
