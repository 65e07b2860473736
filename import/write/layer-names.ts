import { UniqueNames } from '../../compiler/unique-names.ts'
import type { ModelLayer } from '../model-net.ts'
import { signatureOf } from './argument-text.ts'
import { isCall, wordOf } from './words.ts'

/** Short words of the field for layers with parameters that have no name. */
const SHORT: Readonly<Record<string, string>> = {
  batch_norm: 'bn',
  group_norm: 'gn',
  layer_norm: 'ln',
  instance_norm: 'norm',
  leaky_relu: 'leaky',
  parameter: 'constant',
}

export const shortName = (op: string): string => SHORT[op] ?? op

/** Whether something is kept under a layer's name: weights, or what other layers share. */
export const ownsParameters = ({ op, sharesWith }: ModelLayer): boolean =>
  sharesWith === undefined && signatureOf(op)?.parameters.some(({ name }) => name === 'lr_mult') === true

/**
 * The modules that a layer's name lies in, outermost first, its own name last: `layer1.0.conv1` of PyTorch's parameters,
 * `/layer1/layer1.0/conv1/Conv` of its exporter's nodes (where the last part is the operator), `conv1/7x7_s2` of Caffe.
 */
export function pathOf(name: string): string[] {
  const isNode = name.startsWith('/')
  const parts = name.split('/').filter((part) => part !== '')
  const path: string[] = []
  let before = ''
  for (const part of isNode && parts.length > 1 ? parts.slice(0, -1) : parts) {
    // Each part of a node's name says its parent's again.
    const own = before !== '' && part.startsWith(`${before}.`) ? part.slice(before.length + 1) : part
    path.push(...own.split('.').filter((step) => step !== ''))
    before = part
  }
  return path
}

/** Gives out the names of layers of one body. A name without letters in front gets the layer's kind before it: `1x1` is `conv_1x1`. */
export class LayerNames {
  private readonly unique = new UniqueNames(['__proto__', '__metadata__'])
  private readonly counts = new Map<string, number>()

  /** The name of a call of `op`; `steps` is what the model has for it. */
  give(op: string, steps: readonly string[]): string {
    const said = steps.filter((step) => step !== '').join('_')
    const short = shortName(op)
    if (said === '' || /^\d+$/.test(said)) return this.numbered(short)
    const word = wordOf(/^\d/.test(said) ? `${short}_${said}` : said, short)
    // `relu_2` is what an unnamed layer is called.
    const auto = /^(.*)_(\d+)$/.exec(word)
    return this.unique.give(auto && isCall(auto[1]!) && !ownsParameters({ op: auto[1]! } as ModelLayer) ? `${auto[1]}${auto[2]}` : word)
  }

  /** `conv1`, `conv2`, ... */
  private numbered(short: string): string {
    const count = (this.counts.get(short) ?? 0) + 1
    this.counts.set(short, count)
    return this.unique.give(`${short}${count}`, '_')
  }
}
