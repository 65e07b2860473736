import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { caffeFiles } from '../caffe/golden-prototxt.ts'
import { randomWeights } from '../darknet/cfg-net.ts'
import { readCase } from '../../golden/golden-file.ts'

/** A small model, whole and right: what mutations begin with. */
export interface Seed {
  readonly kind: 'onnx' | 'caffe' | 'darknet'
  readonly name: string
  readonly model: Uint8Array
  /** How the model's file is written: that decides what is changed in it. */
  readonly written: 'text' | 'wire'
  /** The net that a solver names. */
  readonly beside?: Uint8Array
  readonly weights?: { readonly name: string; readonly bytes: Uint8Array; readonly written: 'wire' | 'bytes' }
}

const text = (lines: string): Uint8Array => new TextEncoder().encode(lines)

const NET = '[net]\nwidth=8\nheight=8\nchannels=2\nbatch=4\nsubdivisions=2\nlearning_rate=0.1\n'
const conv = (filters: number, more = ''): string => `[convolutional]\nfilters=${filters}\nsize=3\npad=1\nactivation=leaky\n${more}`
const CFGS: readonly string[] = [
  `${NET}${conv(4, 'batch_normalize=1\n')}[avgpool]\n[connected]\noutput=3\nactivation=linear\n[softmax]\n[cost]\n`,
  `${NET}policy=steps\nsteps=10,20\nscales=.1,.5\nmax_batches=30\nburn_in=5\n${conv(4)}${conv(4)}[shortcut]\nfrom=-2\nactivation=relu\n`,
  `${NET}${conv(4, 'stride=2\n')}[upsample]\nstride=2\n[route]\nlayers=-1,0\n${conv(2)}`.replace('layers=-1,0', 'layers=-2'),
  `${NET}${conv(8, 'groups=2\n')}[reorg]\nstride=2\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n`,
  `${NET}[maxpool]\nsize=2\nstride=1\n${conv(14)}[yolo]\nmask=0,1\nanchors=1,2, 3,4\nclasses=2\nnum=2\n[route]\nlayers=0\n${
    conv(7)
  }[region]\nanchors=1,1\nclasses=2\nnum=1\n`,
  `${NET}[crop]\ncrop_height=6\ncrop_width=6\nflip=1\n[deconvolutional]\nfilters=2\nsize=2\nstride=2\nactivation=ramp\n`,
  `${NET}[dropout]\nprobability=.2\n[connected]\noutput=6\nbatch_normalize=1\nactivation=plse\n[softmax]\ngroups=2\n`,
  `${NET}${conv(3, 'stopbackward=1\n')}[maxpool]\nsize=2\nstride=2\n${conv(2, 'learning_rate=2\n')}[shortcut]\nfrom=0\n[logistic]\n`,
  `${NET}policy=poly\nmax_batches=9\nadam=1\n[batchnorm]\n[activation]\nactivation=lhtan\n[l2norm]\n[cost]\ntype=L1\n`,
  `[net]\ninputs=30\npolicy=sigmoid\ngamma=.1\nstep=3\n[connected]\noutput=27\nactivation=loggy\n[detection]\nclasses=1\ncoords=4\nside=3\nnum=1\n`
    .replace('output=27', 'output=54'),
]

/** Reference cases that become prototxt: two with a solver in front. */
const CASES = [
  'train_b_convnet_split_sgd',
  'train_d_residual_merged_adam',
  'conv_bn_relu_split_train_e5',
  'inception',
  'residual',
  'pool',
  'deconv',
  'lrn',
  'act',
  'eltwise',
  'softmax',
  'hinge',
  'conv_',
  'ip',
]
const golden = join(import.meta.dirname, '../../golden/cases')
const exported = join(import.meta.dirname, '../exported')

/** Reference cases as files of Caffe, the smallest of each family. */
function caffeSeeds(): Seed[] {
  const names = readdirSync(golden).filter((name) => name.endsWith('.safetensors')).map((name) => name.replace('.safetensors', ''))
  const seeds: Seed[] = []
  for (const family of CASES) {
    for (const name of names.filter((each) => each.startsWith(family))) {
      const files = caffeFiles(readCase(golden, name))
      if (!files || files.prototxt.length > 6000 || (files.weights?.length ?? 0) > 60_000) continue
      const weights = files.weights && { weights: { name: 'net.caffemodel', bytes: files.weights, written: 'wire' as const } }
      const net = text(files.prototxt)
      if (files.solver === undefined) seeds.push({ kind: 'caffe', name, model: net, written: 'text', ...weights })
      else seeds.push({ kind: 'caffe', name, model: text(files.solver), written: 'text', beside: net, ...weights })
      break
    }
  }
  return seeds.slice(0, 10)
}

const darknetSeeds = (): Seed[] =>
  CFGS.map((cfg, i) => ({
    kind: 'darknet',
    name: `cfg${i}`,
    model: text(cfg),
    written: 'text',
    weights: { name: 'net.weights', bytes: randomWeights(cfg, i), written: 'bytes' },
  }))

/** Exports of PyTorch that lie beside the tests. */
const onnxSeeds = (): Seed[] =>
  (existsSync(exported) ? readdirSync(exported) : []).filter((name) => name.endsWith('.onnx')).slice(0, 10)
    .map((name) => ({ kind: 'onnx', name, model: readFileSync(join(exported, name)), written: 'wire' }))

export const seedsOf = { onnx: onnxSeeds, caffe: caffeSeeds, darknet: darknetSeeds }
