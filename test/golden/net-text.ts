import type { GoldenCase, GoldenLayer, GoldenTensor } from './golden-file.ts'
import { tensorsBelow } from './golden-file.ts'

/** How Conv + BN + Scale of a case is written: as the case has it, or in the other spelling. */
export type Spelling = 'as given' | 'other'

export interface NetText {
  readonly text: string
  /** Names in the case -> names in the net. */
  readonly parameterName: ReadonlyMap<string, string>
  /** Blobs that the net computes and can give back. */
  readonly outputs: readonly string[]
  readonly statisticsOf: ReadonlyMap<string, string>
  readonly batch: number
}

export interface NetTextOptions {
  readonly spelling: Spelling
  /** Give back every blob, or final ones alone, so that everything before them may be fused away. */
  readonly everyBlob: boolean
  readonly train?: string
  /** Lines for the policy of statistics: `stats: cumulative`. Default keeps the last batch's alone. */
  readonly stats?: string
}

/** Losses end in a scalar that is not a blob of the net. */
export const isLoss = (layer: GoldenLayer): boolean => layer.type.endsWith('Loss')

/** A case's layers as a `.net` text: every blob and layer keeps its name, `sum(mul(y, dout_y))` is what is differentiated. */
export function netText(golden: GoldenCase, options: NetTextOptions): NetText {
  const layers = options.spelling === 'as given' ? golden.layers : respell(golden.layers)
  const whole = needsWholeInputs(golden)
  const writer = new Writer(golden, layers, options, whole)
  return writer.write()
}

class Writer {
  private readonly lines: string[] = []
  private readonly parameterName = new Map<string, string>()
  private readonly statisticsOf = new Map<string, string>()
  private readonly owners = new Map<string, { layer: string; role: string }>()
  private readonly golden: GoldenCase
  private readonly layers: readonly GoldenLayer[]
  private readonly options: NetTextOptions
  private readonly whole: boolean

  constructor(golden: GoldenCase, layers: readonly GoldenLayer[], options: NetTextOptions, whole: boolean) {
    this.golden = golden
    this.layers = layers
    this.options = options
    this.whole = whole
  }

  write(): NetText {
    const { golden } = this
    const inputs = tensorsBelow(golden, 'in.')
    const perBatch = golden.kind === 'train'
    for (const [blob, t] of inputs) this.input(blob, perBatch ? { ...t, shape: t.shape.slice(1) } : t)
    const douts = tensorsBelow(golden, 'dout.')
    for (const layer of this.layers) this.layer(layer, douts)
    const tops = new Set(this.layers.flatMap((layer) => layer.top))
    const losses = new Set(this.layers.filter(isLoss).flatMap((layer) => layer.top))
    const read = new Set(this.layers.flatMap((layer) => layer.bottom))
    const outputs = [...tops].filter((blob) => !losses.has(blob) && (this.options.everyBlob || !read.has(blob)))
    for (const blob of outputs) this.lines.push(`output o_${blob} = b_${blob}`)
    for (const [blob, t] of douts) {
      if (losses.has(blob)) continue
      this.input(`d_${blob}`, t, '')
      this.lines.push(`loss l_${blob} = sum(mul(b_${blob}, d_${blob}))`)
    }
    for (const blob of losses) this.lines.push(`loss ${perBatch ? '' : `o_${blob} `}= b_${blob}`)
    const first = [...inputs.values()][0]!
    return {
      text: `net golden {\n${this.lines.map((line) => `  ${line}`).join('\n')}\n}\n${this.options.train ?? ''}`,
      parameterName: this.parameterName,
      outputs,
      statisticsOf: this.statisticsOf,
      batch: this.whole ? 1 : first.shape[perBatch ? 1 : 0]!,
    }
  }

  private input(blob: string, t: GoldenTensor, prefix = 'b_'): void {
    if (t.dtype === 'I32') {
      const space = t.shape.slice(1)
      this.lines.push(`input ${prefix}${blob}: class[${this.classes(blob)}]${space.length > 0 ? `[${space.join(', ')}]` : ''}`)
    } else if (this.whole) this.lines.push(`input ${prefix}${blob}: f32[${t.shape.join(', ')}] whole`)
    else this.lines.push(`input ${prefix}${blob}: f32[${t.shape.slice(1).join(', ')}]`)
  }

  /** As many as the scores that the labels are compared with. */
  private classes(label: string): number {
    const { golden } = this
    const loss = this.layers.find((layer) => isLoss(layer) && layer.bottom[1] === label)
    const scores = loss?.bottom[0]
    const known = golden.tensors.get(`in.${scores}`)?.shape[1] ?? golden.tensors.get(`out.${scores}`)?.shape[1] ?? golden.tensors.get('test.scores')?.shape[1]
    if (known === undefined) throw new Error(`${golden.name}: how many classes has ${label}?`)
    return known
  }

  private layer(layer: GoldenLayer, douts: ReadonlyMap<string, GoldenTensor>): void {
    const bottoms = layer.bottom.map((blob, i) => (layer.type === 'Dropout' && i === 1 ? `mask: b_${blob}` : `b_${blob}`))
    if (layer.type === 'Slice') {
      const points = layer.attrs['slice_point'] as number[]
      layer.top.forEach((top, i) => {
        const end = points[i] ?? this.extentOf(layer.bottom[0]!, layer.attrs['axis'])
        this.lines.push(`b_${top} = slice(${bottoms[0]}, ${layer.attrs['axis']}, ${i === 0 ? 0 : points[i - 1]}, ${end}) as ${layer.name}_${i}`)
      })
      return
    }
    const args = [...this.layerArguments(layer), ...this.multipliers(layer)]
    if (isLoss(layer)) {
      const weight = douts.get(layer.top[0]!)?.data[0]
      if (weight !== undefined && weight !== 1) args.push(`weight: ${weight}`)
    }
    const shared = Object.entries(layer.param).map(([, name]) => this.owners.get(name)?.layer).find((owner) => owner !== undefined)
    if (shared) args.push(`weights: ${shared}`)
    const op = operatorOf(layer)
    this.lines.push(`b_${layer.top[0]} = ${op}(${[...bottoms, ...args].join(', ')}) as ${layer.name}`)
    for (const [role, name] of Object.entries(layer.param)) {
      if (this.owners.has(name)) continue
      const ours = parameterRole(layer, role)
      this.owners.set(name, { layer: layer.name, role: ours })
      this.parameterName.set(name, `${layer.name}.${ours}`)
    }
    if (layer.type === 'BatchNorm') this.statisticsOf.set(statisticsName(layer), layer.name)
  }

  private extentOf(blob: string, axisNumber: number): number {
    return this.golden.tensors.get(`in.${blob}`)!.shape[axisNumber]!
  }

  private multipliers(layer: GoldenLayer): string[] {
    const specs = this.golden.meta['param_specs'] as Record<string, { lr_mult: number; decay_mult: number }> | undefined
    if (!specs) return []
    const order = ['weight', 'gamma', 'scale', 'slope', 'bias', 'beta']
    const names = order.filter((role) => layer.param[role] !== undefined).map((role) => layer.param[role]!)
    const known = names.map((name) => specs[name]).filter((spec) => spec !== undefined)
    if (known.length === 0) return []
    return [`lr_mult: [${known.map((s) => s.lr_mult).join(', ')}]`, `decay_mult: [${known.map((s) => s.decay_mult).join(', ')}]`]
  }

  private layerArguments(layer: GoldenLayer): string[] {
    const a = layer.attrs
    const pair = (v: number[]): string => `[${v.join(', ')}]`
    switch (layer.type) {
      case 'Convolution': case 'Deconvolution': {
        const args = [String(a['num_output']), pair(a['kernel']), `stride: ${pair(a['stride'])}`, `pad: ${pair(a['pad'])}`, `dilation: ${pair(a['dilation'])}`, `groups: ${a['group']}`, `bias: ${a['bias_term']}`]
        if (a['output_padding']) args.push(`output_pad: ${pair(a['output_padding'])}`)
        return args
      }
      case 'InnerProduct': return [String(a['num_output']), `bias: ${a['bias_term']}`, ...(a['transpose'] ? ['transpose: true'] : [])]
      case 'BatchNorm': {
        const stats = a['use_global_stats'] ? (layer.param['scale_factor'] ? 'global(scale_factor: true)' : 'global') : (this.options.stats ?? 'moving(newest: 1)')
        return [`eps: ${a['eps']}`, `affine: ${a['affine']}`, `stats: ${stats}`]
      }
      case 'Scale': return [`bias: ${a['bias_term']}`]
      case 'Pooling': {
        if (a['global_pooling']) return []
        const args = [pair(a['kernel']), `stride: ${pair(a['stride'])}`, `pad: ${pair(a['pad'])}`, `round: ${a['round_mode']}`]
        return a['pool'] === 'ave' ? [...args, 'count: caffe'] : args
      }
      case 'ReLU': return a['negative_slope'] ? [`slope: ${a['negative_slope']}`] : []
      case 'PReLU': return a['channel_shared'] ? ['shared: true'] : []
      case 'Clip': return [String(a['min']), String(a['max'])]
      case 'ELU': return [`alpha: ${a['alpha']}`]
      case 'GELUTanh': return ['approximate: tanh']
      case 'Dropout': return [String(a['dropout_ratio'])].map((p) => `p: ${p}`)
      case 'Eltwise': return a['operation'] === 'sum' && (a['coeff'] as number[]).some((c) => c !== 1) ? [`coeff: ${pair(a['coeff'])}`] : []
      case 'Concat': return [`axis: ${a['axis']}`]
      case 'Flatten': return [`axis: ${a['axis']}`, `end: ${a['end_axis']}`]
      case 'Reshape': return [pair((a['dim'] as number[]).slice(1))]
      case 'LRN': return [`size: ${a['local_size']}`, `alpha: ${a['alpha']}`, `beta: ${a['beta']}`, ...(a['norm_region'] === 'within_channel' ? ['region: within'] : [`k: ${a['k']}`])]
      case 'SoftmaxWithLoss': case 'SigmoidCrossEntropyLoss':
        return [...(a['ignore_label'] === null || a['ignore_label'] === undefined ? [] : [`ignore: ${a['ignore_label']}`]), `normalization: ${a['normalization']}`]
      case 'HingeLoss': return [`norm: ${a['norm'] === 'L2' ? 2 : 1}`]
      default: return []
    }
  }
}

function operatorOf(layer: GoldenLayer): string {
  const a = layer.attrs
  switch (layer.type) {
    case 'Pooling': return `${a['global_pooling'] ? 'global_' : ''}${a['pool'] === 'max' ? 'max' : 'avg'}_pool`
    case 'ReLU': return a['negative_slope'] ? 'leaky_relu' : 'relu'
    case 'Eltwise': return { sum: 'add', prod: 'mul', max: 'max' }[a['operation'] as string]!
    default: return {
      Convolution: 'conv', Deconvolution: 'deconv', InnerProduct: 'fc', BatchNorm: 'batch_norm', Scale: 'scale', PReLU: 'prelu', Clip: 'clip',
      ELU: 'elu', GELU: 'gelu', GELUTanh: 'gelu', BNLL: 'softplus', SiLU: 'silu', Sigmoid: 'sigmoid', TanH: 'tanh', HardSwish: 'hard_swish',
      HardSigmoid: 'hard_sigmoid', Dropout: 'dropout', Concat: 'concat', Flatten: 'flatten', Reshape: 'reshape', LRN: 'lrn', Softmax: 'softmax',
      LogSoftmax: 'log_softmax', SoftmaxWithLoss: 'softmax_loss', SigmoidCrossEntropyLoss: 'sigmoid_loss', EuclideanLoss: 'squared_loss', HingeLoss: 'hinge_loss',
    }[layer.type] ?? layer.type
  }
}

function parameterRole(layer: GoldenLayer, role: string): string {
  if (layer.type === 'BatchNorm') return { mean: 'running_mean', var: 'running_var' }[role] ?? role
  if (layer.type === 'Scale') return { scale: 'weight' }[role] ?? role
  return role
}

/** The name under which the case keeps this layer's statistics: a merged layer made of a pair keeps its first half's. */
const statisticsName = (layer: GoldenLayer): string => (layer.attrs['statistics_of'] as string | undefined) ?? layer.name

/** BatchNorm that owns gamma and beta <-> BatchNorm without, and Scale behind it. */
function respell(layers: readonly GoldenLayer[]): GoldenLayer[] {
  const result: GoldenLayer[] = []
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i]!
    const next = layers[i + 1]
    if (layer.type !== 'BatchNorm') { result.push(layer); continue }
    const { gamma, beta, ...statistics } = layer.param
    if (layer.attrs['affine']) {
      const inner = `${layer.top[0]}_xhat`
      result.push({ ...layer, name: `${layer.name}_n`, top: [inner], param: statistics, attrs: { ...layer.attrs, affine: false, statistics_of: layer.name } })
      result.push({ name: layer.name, type: 'Scale', bottom: [inner], top: layer.top, param: { scale: gamma!, bias: beta! }, attrs: { bias_term: true } })
    } else if (next?.type === 'Scale' && next.bottom[0] === layer.top[0] && next.attrs['bias_term'] && layers.filter((l) => l.bottom.includes(layer.top[0]!)).length === 1) {
      result.push({ ...layer, name: next.name, top: next.top, param: { ...statistics, gamma: next.param['scale']!, beta: next.param['bias']! }, attrs: { ...layer.attrs, affine: true, statistics_of: layer.name } })
      i++
    } else result.push(layer)
  }
  return result
}

/** Cases whose layers cut or join the batch itself: their inputs have no implied batch. */
const needsWholeInputs = (golden: GoldenCase): boolean =>
  golden.layers.some((layer) => (layer.type === 'Concat' || layer.type === 'Slice') && layer.attrs['axis'] === 0)

export const hasBatchNorm = (golden: GoldenCase): boolean => golden.layers.some((layer) => layer.type === 'BatchNorm')
