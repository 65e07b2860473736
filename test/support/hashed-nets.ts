import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { caseTexts } from '../golden/case-texts.ts'
import { caseNames, readCase } from '../golden/golden-file.ts'
import { randomNet } from './random-net.ts'
import { wideNet } from './wide-net.ts'

/** A net whose bundles `npm run hashes` compares between revisions. */
export interface HashedNet {
  readonly name: string
  readonly text: string
  /** Options of `compile` beside style and memory. A net with options of its own is compiled in one style, for speed. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Whether the short form has it. */
  readonly quick: boolean
}

/** Samples of the short form. */
const QUICK_SAMPLES = ['mnist', 'cifar10_quick']

/** Cases of the short form: a kind of layer or of training each. */
const QUICK_CASES = [
  'act_gelu_erf',
  'bn_merged_e5',
  'bn_split_global_e5',
  'bn_stats_cumulative_warm',
  'concat_channels',
  'conv_depthwise_p1',
  'deconv_4x4_s2_p1',
  'ip_bn_sigmoid_split',
  'lrn_across_size5',
  'pool_ave_3_s2_p1_ceil',
  'slice_width',
  'solver_adam_l2',
  'solver_sgd_clip_gradients',
  'train_d_residual_merged_adam',
]

/** Random nets: small and varied; as wide as real layers are; wide enough for Winograd and for tiles in workgroup memory. */
const RANDOM: readonly {
  readonly name: string
  readonly count: number
  readonly quick: number
  readonly write: (seed: number) => string
}[] = [
  { name: 'random', count: 130, quick: 6, write: randomNet },
  { name: 'wide', count: 40, quick: 3, write: (seed) => wideNet(seed, 6e5) },
  { name: 'wider', count: 30, quick: 1, write: (seed) => wideNet(1000 + seed, 1.2e7) },
]

/** Options that change kernels, each with the sample that shows it. */
const WITH_OPTIONS: readonly {
  readonly sample: string
  readonly label: string
  readonly options: Readonly<Record<string, unknown>>
  readonly quick?: boolean
}[] = [
  { sample: 'mnist', label: 'freeze', options: { freeze: ['conv*'] }, quick: true },
  { sample: 'mnist', label: 'infer alone', options: { programs: ['infer'] }, quick: true },
  { sample: 'cifar10_quick', label: 'precise', options: { precise: true } },
  { sample: 'cifar10_quick', label: 'not normalized', options: { normalize: false } },
  { sample: 'cifar10_full_sigmoid_bn', label: 'stored statistics', options: { programs: ['default', 'step/global', 'train/global'] } },
  { sample: 'resnet20', label: 'precise', options: { precise: true, targets: ['wasm'] } },
]

/** All nets, the slowest to compile first; of those with equal texts, the first. `root` is the folder of the repository. */
export function hashedNets(root: string): HashedNet[] {
  const sample = (name: string): string => readFileSync(join(root, 'samples', `${name}.net`), 'utf8')
  const samples = readdirSync(join(root, 'samples')).filter((file) => file.endsWith('.net')).map((file) => file.slice(0, -'.net'.length))
  const slow = (name: string): number => -sample(name).length
  const cases = join(root, 'test/golden/cases')
  const nets: HashedNet[] = [
    ...samples.sort((a, b) => slow(a) - slow(b)).map((name) => ({
      name: `samples/${name}`,
      text: sample(name),
      quick: QUICK_SAMPLES.includes(name),
    })),
    ...WITH_OPTIONS.map(({ sample: name, label, options, quick = false }) => ({
      name: `samples/${name} (${label})`,
      text: sample(name),
      options,
      quick,
    })),
    ...RANDOM.flatMap(({ name, count, quick, write }) =>
      Array.from({ length: count }, (_, i) => ({ name: `${name}/${i + 1}`, text: write(i + 1), quick: i < quick }))
    ),
    ...caseNames(cases).flatMap((name) =>
      caseTexts(readCase(cases, name)).map((text, i) => ({
        name: `golden/${name}${i === 0 ? '' : ` (${i + 1})`}`,
        text,
        quick: i === 0 && QUICK_CASES.includes(name),
      }))
    ),
  ]
  const seen = new Set<string>()
  return nets.filter(({ text, options }) => {
    const key = JSON.stringify([text, options])
    return !seen.has(key) && seen.add(key)
  })
}
