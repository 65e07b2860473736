import { axisOf, type BlobShapes, blobShapes, type LayerShapes, sizeOf, slicesOf } from './blob-shapes.ts'
import { type GoldenCase, type GoldenLayer, type GoldenTensor, tensorsBelow } from './golden-file.ts'
import { isLoss, layerArguments, multiplierArguments, operatorOf, parameterRole } from './layer-text.ts'
import { respell, type Spelling, splitShared, statisticsName } from './respell.ts'
import { Words } from './words.ts'

export interface NetText {
  readonly text: string
  /** Names in the case -> names in the net: several where layers share what the language cannot share. */
  readonly parameterNames: ReadonlyMap<string, readonly string[]>
  /** Blobs that the net computes and can give back -> names of outputs and losses. */
  readonly outputs: ReadonlyMap<string, string>
  /** What to feed: names of inputs -> tensors of the case. */
  readonly inputs: ReadonlyMap<string, string>
  /** Blobs that are given -> names of inputs whose gradients are theirs. */
  readonly inputNames: ReadonlyMap<string, string>
  /** Layers of the case that keep statistics -> layers of the net. */
  readonly statisticsOf: ReadonlyMap<string, string>
  readonly batch: number
  /** Whether there is anything to differentiate. */
  readonly differentiable: boolean
}

export interface NetTextOptions {
  readonly spelling: Spelling
  /** Give back every blob, or final ones alone, so that everything before them may be fused away. */
  readonly everyBlob: boolean
  /** Blobs to give back whatever `everyBlob` says. */
  readonly asWell?: readonly string[]
  /** The train block, where there is a loss. */
  readonly train?: string
  /** Lines for the policy of statistics: `stats: cumulative`. Default keeps the last batch's alone. */
  readonly stats?: string
  /** A factor of every loss. */
  readonly lossFactor?: number
}

/** A case's layers as a `.net` text: `sum(mul(y, dout_y))` is what is differentiated. */
export function netText(golden: GoldenCase, options: NetTextOptions): NetText {
  const spelled = options.spelling === 'as given' ? golden.layers : respell(golden.layers)
  const layers = golden.kind === 'train' ? splitShared(spelled) : spelled
  return new Writer(golden, layers, options).write()
}

export const hasBatchNorm = (golden: GoldenCase): boolean => golden.layers.some((layer) => layer.type === 'BatchNorm')

class Writer {
  private readonly lines: string[] = []
  private readonly parameterNames = new Map<string, string[]>()
  private readonly statisticsOf = new Map<string, string>()
  private readonly owners = new Map<string, GoldenLayer>()
  private readonly inputs = new Map<string, string>()
  private readonly inputNames = new Map<string, string>()
  private readonly blobs = new Words()
  private readonly layerNames = new Words()
  private readonly shapes: BlobShapes
  private readonly douts: ReadonlyMap<string, GoldenTensor>
  /** Whether inputs have no implied batch: layers cut or join it, or inputs differ in it. */
  private readonly whole: boolean
  private readonly golden: GoldenCase
  private readonly layers: readonly GoldenLayer[]
  private readonly options: NetTextOptions

  constructor(golden: GoldenCase, layers: readonly GoldenLayer[], options: NetTextOptions) {
    this.golden = golden
    this.layers = layers
    this.options = options
    this.shapes = blobShapes(golden, layers)
    this.whole = movesBatch(layers, this.shapes)
    this.douts = tensorsBelow(golden, 'dout.')
  }

  write(): NetText {
    const { options, shapes } = this
    for (const [blob, shape] of shapes.inputs)
      if (!isLabel(this.layers, blob)) this.inputNames.set(blob, this.input(this.blob(blob), `in.${blob}`, shape))
    this.layers.forEach((layer, i) => this.layer(layer, shapes.layers[i]!))

    const losses = new Set(this.layers.filter(isLoss).flatMap((layer) => layer.top))
    const read = new Set(this.layers.flatMap((layer) => (layer.bottom.every((blob) => !layer.top.includes(blob)) ? layer.bottom : [])))
    const outputs = new Map<string, string>()
    for (const blob of new Set(this.layers.flatMap((layer) => layer.top))) {
      const name = `o_${this.blobs.of(blob)}`
      if (losses.has(blob) || (!options.everyBlob && read.has(blob) && !options.asWell?.includes(blob))) continue
      outputs.set(blob, name)
      this.lines.push(`output ${name} = ${this.blob(blob)}`)
    }
    for (const [blob, t] of this.douts) {
      if (losses.has(blob)) continue
      const upstream = this.input(`d_${this.blobs.of(blob)}`, `dout.${blob}`, t.shape)
      this.lines.push(`loss l_${this.blobs.of(blob)} = sum(mul(${this.blob(blob)}, ${upstream}))`)
    }
    for (const blob of losses) {
      const name = `o_${this.blobs.of(blob)}`
      outputs.set(blob, name)
      this.lines.push(`loss ${name} = ${this.blob(blob)}`)
    }
    const differentiable = this.douts.size > 0 || losses.size > 0
    return {
      text: `net golden {\n${this.lines.map((line) => `  ${line}`).join('\n')}\n}\n${differentiable ? options.train ?? '' : ''}`,
      parameterNames: this.parameterNames,
      outputs,
      inputs: this.inputs,
      inputNames: this.inputNames,
      statisticsOf: this.statisticsOf,
      batch: this.whole ? 1 : [...shapes.inputs.values()][0]![0]!,
      differentiable,
    }
  }

  private readonly blob = (name: string): string => `b_${this.blobs.of(name)}`

  /** Declares an input of numbers, fed with a tensor of the case. */
  private input(name: string, tensor: string, shape: readonly number[]): string {
    this.inputs.set(name, tensor)
    this.lines.push(`input ${name}: f32[${this.sample(shape).join(', ')}]${this.whole ? ' whole' : ''}`)
    return name
  }

  /** A label has the shape that its loss asks for, so the same numbers may be declared twice. */
  private labels(blob: string, classes: number, shape: readonly number[]): string {
    const name = this.blob(`${blob} class[${classes}][${shape.join(', ')}]`)
    if (this.inputs.has(name)) return name
    this.inputs.set(name, `in.${blob}`)
    const space = this.sample(shape)
    this.lines.push(`input ${name}: class[${classes}]${space.length > 0 ? `[${space.join(', ')}]` : ''}${this.whole ? ' whole' : ''}`)
    return name
  }

  /** A shape as the language writes it: the batch is implied, unless inputs are whole. */
  private readonly sample = (shape: readonly number[]): readonly number[] => (this.whole ? shape : shape.slice(1))

  private layer(layer: GoldenLayer, { bottoms, tops }: LayerShapes): void {
    const [x, ...others] = layer.bottom.map(this.blob) as [string, ...string[]]
    const y = this.blob(layer.top[0]!)
    const name = this.layerName(layer)
    const set = (blob: string, value: string): void => {
      this.lines.push(`${blob} = ${value}`)
    }
    const operator = operatorOf(layer)
    const args = [
      ...layerArguments(layer, this.sample(tops[0]!), this.options.stats ?? 'moving(newest: 1)'),
      ...multiplierArguments(layer, this.golden.meta['param_specs']),
    ]
    const call = (inputs: readonly string[], more: readonly string[] = []): string =>
      `${operator}(${[...inputs, ...args, ...more].join(', ')}) as ${name}`

    switch (layer.type) {
      case 'Slice': {
        const { axis, points } = slicesOf(layer, bottoms[0]!)
        // All parts are cut before a name is bound anew: one of them may be called as what is cut.
        const parts = layer.top.map((_, i) => this.inner(layer, `part ${i}`))
        parts.forEach((part, i) => set(part, `slice(${x}, ${axis}, ${points[i]}, ${points[i + 1]}) as ${part}`))
        return layer.top.forEach((top, i) => set(this.blob(top), parts[i]!))
      }
      // The language joins two or more; of one, there is nothing to join.
      case 'Eltwise':
        if (others.length === 0)
          return set(y, layer.attrs['coeff'] ? `add(${x}, ${x}, coeff: [${layer.attrs['coeff'][0]}, 0]) as ${name}` : x)
        break
      // The mask is given in training; without one it is the test phase, which copies.
      case 'Dropout':
        return set(y, others.length > 0 ? call([x, `mask: ${others[0]}`]) : x)
      case 'Flatten':
        if (axisOf(layer.attrs['axis'], bottoms[0]!.length) === 0)
          return set(y, `reshape(${x}, [${this.sample(tops[0]!).join(', ')}]) as ${name}`)
        break
      case 'Softmax':
      case 'LogSoftmax': {
        const scores = this.channelsFirst(layer, x, bottoms[0]!)
        set(this.inner(layer, 'y'), call([scores.value]))
        return set(y, scores.back(this.inner(layer, 'y')))
      }
      case 'SoftmaxWithLoss': {
        const scores = this.channelsFirst(layer, x, bottoms[0]!)
        const [n, classes, ...map] = scores.shape
        return set(y, call([scores.value, this.labels(layer.bottom[1]!, classes!, [n!, ...map])], this.lossWeight(layer)))
      }
      case 'HingeLoss': {
        const [n, ...scores] = bottoms[0]!
        // One label a sample: all that a sample has are its scores.
        const flat = sizeOf(bottoms[1]!) === n && scores.length > 1
        if (flat) set(this.inner(layer, 'x'), `reshape(${x}, [${this.sample([n, sizeOf(scores)]).join(', ')}])`)
        const label = flat ? this.labels(layer.bottom[1]!, sizeOf(scores), [n])
          : this.labels(layer.bottom[1]!, scores[0]!, [n!, ...scores.slice(1)])
        return set(y, call([flat ? this.inner(layer, 'x') : x, label], this.lossWeight(layer)))
      }
    }
    set(y, call([x, ...others], [...(isLoss(layer) ? this.lossWeight(layer) : []), ...this.parameters(layer, name)]))
    if (layer.type === 'BatchNorm') this.statisticsOf.set(statisticsName(layer), name)
  }

  private readonly layerName = (layer: GoldenLayer): string => `n_${this.layerNames.of(layer.name)}`
  /** The name of a step within a layer, for values and layers. */
  private readonly inner = (layer: GoldenLayer, step: string): string => `n_${this.layerNames.of(`${layer.name} (${step})`)}`

  private lossWeight(layer: GoldenLayer): string[] {
    const weight = Number(this.douts.get(layer.top[0]!)?.data[0] ?? 1) * (this.options.lossFactor ?? 1)
    return weight === 1 ? [] : [`weight: ${weight}`]
  }

  /**
   * Notes where a layer's parameters come from, and says whose they are where the language can. Layers that have more or less than
   * all of their parameters in common get copies, whose gradients add up: not where solvers would update each by itself.
   */
  private parameters(layer: GoldenLayer, name: string): string[] {
    const roles = Object.entries(layer.param)
    const owner = roles.map(([, parameter]) => this.owners.get(parameter)).find((found) => found !== undefined)
    if (owner && sharesAll(layer, owner)) return [`weights: ${this.layerName(owner)}`]
    if (owner && this.golden.kind === 'train')
      throw new Error(`${this.golden.name}: ${layer.name} and ${owner.name} share parameters in a way that the language does not know`)
    for (const [role, parameter] of roles) {
      if (!this.owners.has(parameter)) this.owners.set(parameter, layer)
      this.parameterNames.set(parameter, [...this.parameterNames.get(parameter) ?? [], `${name}.${parameterRole(layer, role)}`])
    }
    return []
  }

  /** Scores whose classes lie along any axis, as [n, classes, all the rest], and the way back to their own shape. */
  private channelsFirst(
    layer: GoldenLayer,
    x: string,
    shape: readonly number[],
  ): { value: string; shape: readonly number[]; back(y: string): string } {
    const axis = axisOf(layer.attrs['axis'] ?? 1, shape.length)
    if (axis === 1) return { value: x, shape, back: (y) => y }
    const extent = shape[axis]!
    const rest = sizeOf(shape) / extent / (this.whole ? 1 : shape[0]!)
    const joined = [this.whole ? 1 : shape[0]!, extent, rest]
    const row = (value: string, along: number, as: readonly number[], i: number): string =>
      `reshape(slice(${value}, ${along}, ${i}, ${i + 1}), [${this.sample(as).join(', ')}])`
    const join = (
      rows: readonly string[],
      along: number,
    ): string => (rows.length === 1 ? rows[0]! : `concat(${rows.join(', ')}, axis: ${along})`)
    const each = (row: (i: number) => string): string[] => Array.from({ length: extent }, (_, i) => row(i))
    const value = this.inner(layer, 'x')
    this.lines.push(`${value} = ${join(each((i) => row(x, axis, [joined[0]!, 1, rest], i)), 1)}`)
    const thin = shape.map((size, i) => (i === axis ? 1 : size))
    return { value, shape: joined, back: (y) => join(each((i) => row(y, 1, thin, i)), axis) }
  }
}

/** Whether a blob is read as labels, which its losses declare, and as nothing else. */
function isLabel(layers: readonly GoldenLayer[], blob: string): boolean {
  const reads = layers.flatMap((layer) =>
    layer.bottom.flatMap((name, i) => (name === blob ? [i === 1 && (layer.type === 'SoftmaxWithLoss' || layer.type === 'HingeLoss')] : []))
  )
  return reads.length > 0 && reads.every((asLabel) => asLabel)
}

/** Whether two layers have all of their parameters in common, in the same roles: what `weights: other` says. */
const sharesAll = (layer: GoldenLayer, owner: GoldenLayer): boolean =>
  layer.type === owner.type && layer.type !== 'BatchNorm' && layer.attrs['transpose'] === owner.attrs['transpose'] &&
  JSON.stringify(Object.entries(layer.param).sort()) === JSON.stringify(Object.entries(owner.param).sort())

function movesBatch(layers: readonly GoldenLayer[], shapes: BlobShapes): boolean {
  const batches = new Set([...shapes.inputs.values()].map((shape) => shape[0]))
  return batches.size !== 1 || batches.has(undefined) || layers.some((layer, i) => {
    const { bottoms, tops } = shapes.layers[i]!
    const along = axisOf(layer.attrs['axis'] ?? 1, bottoms[0]!.length)
    return isLoss(layer) ? layer.type === 'SoftmaxWithLoss' && along === 0 : (tops.some((top) =>
      top[0] !== bottoms[0]![0]
    ) || (along === 0 && layer.type !== 'InnerProduct'))
  })
}
