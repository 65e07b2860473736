import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { caseTexts } from '../golden/case-texts.ts'
import { caseNames, readCase } from '../golden/golden-file.ts'
import { oddNet } from './odd-net.ts'
import { randomNet } from './random-net.ts'
import { wideNet } from './wide-net.ts'

/** Two choices of `compile`; with four of them a net has four bundles. */
export interface Variant {
  readonly style: 'merged' | 'split'
  readonly memory: 'fast' | 'small'
}

/** A net whose bundles `npm run hashes` compares between revisions. */
export interface HashedNet {
  readonly name: string
  readonly text: string
  /** Options of `compile` beside those of a variant. */
  readonly options?: Readonly<Record<string, unknown>>
  readonly variants: readonly Variant[]
  /** Those of the short form: none where it leaves the net out. */
  readonly quick: readonly Variant[]
}

const VARIANTS: readonly Variant[] = (['merged', 'split'] as const).flatMap((style) =>
  (['fast', 'small'] as const).map((memory) => ({ style, memory }))
)
const [FAST, , SPLIT_FAST, SPLIT_SMALL] = VARIANTS as readonly [Variant, Variant, Variant, Variant]

/** Samples of the short form. */
const QUICK_SAMPLES = new Map<string, readonly Variant[]>([['mnist', VARIANTS], ['cifar10_quick', [FAST, SPLIT_FAST]]])

/** Cases of the short form: a kind of layer or of training each. */
const QUICK_CASES: readonly string[] = [
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
]

interface RandomNets {
  readonly name: string
  readonly count: number
  readonly write: (seed: number) => string
  /** Seeds of the short form: nets that compile in half a second. */
  readonly quick: readonly number[]
}

/** Random nets: small and varied; of odd maps, strides and groups; as wide as real layers are; wide enough for Winograd and for tiles in workgroup memory. */
const RANDOM: readonly RandomNets[] = [
  { name: 'random', count: 130, write: randomNet, quick: [13, 14, 17, 21, 22, 23, 24, 25, 26, 30, 31, 34] },
  { name: 'odd', count: 30, write: (seed) => oddNet(seed, 2e5), quick: [1, 2, 5, 7] },
  { name: 'wide', count: 40, write: (seed) => wideNet(seed, 6e5), quick: [2, 4, 7, 9, 10, 11] },
  { name: 'wider', count: 30, write: (seed) => wideNet(1000 + seed, 1.2e7), quick: [7, 8] },
]

/** Options that change kernels, each with a sample that shows it; in one style, for speed. */
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

/** All nets, samples first; of those with equal texts and options, the first. `root` is the folder of the repository. */
export function hashedNets(root: string): HashedNet[] {
  const sample = (name: string): string => readFileSync(join(root, 'samples', `${name}.net`), 'utf8')
  const samples = readdirSync(join(root, 'samples')).filter((file) => file.endsWith('.net')).map((file) => file.slice(0, -'.net'.length))
  const cases = join(root, 'test/golden/cases')
  const nets: HashedNet[] = [
    ...samples.map((name) => ({ name: `samples/${name}`, text: sample(name), variants: VARIANTS, quick: QUICK_SAMPLES.get(name) ?? [] })),
    ...WITH_OPTIONS.map(({ sample: name, label, options, quick }) => ({
      name: `samples/${name} (${label})`,
      text: sample(name),
      options,
      variants: [FAST],
      quick: quick ? [FAST] : [],
    })),
    // The short form has a variant of each random net, one after the other.
    ...RANDOM.flatMap(({ name, count, write, quick }) =>
      Array.from({ length: count }, (_, i) => i + 1).map((seed) => ({
        name: `${name}/${seed}`,
        text: write(seed),
        variants: VARIANTS,
        quick: quick.includes(seed) ? [VARIANTS[quick.indexOf(seed) % VARIANTS.length]!] : [],
      }))
    ),
    ...caseNames(cases).flatMap((name) =>
      caseTexts(readCase(cases, name)).map((text, i) => ({
        name: `golden/${name}${i === 0 ? '' : ` (${i + 1})`}`,
        text,
        variants: VARIANTS,
        quick: i === 0 && QUICK_CASES.includes(name) ? [FAST, SPLIT_SMALL] : [],
      }))
    ),
  ]
  const seen = new Set<string>()
  return nets.filter(({ text, options }) => {
    const key = JSON.stringify([text, options])
    return !seen.has(key) && seen.add(key)
  })
}
