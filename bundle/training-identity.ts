import { sha256Of } from './digest.ts'
import type { CallEntry, Manifest, Style } from './format.ts'
import type { TrainStats } from './programs.ts'

/** The identity of a training, besides its seed: if any of these differs, a training that goes on gives other numbers. */
export interface TrainingIdentity {
  /** The net's name. */
  readonly net: string
  /** SHA-256 of the texts that it was compiled from, without comments, spaces and the train block. */
  readonly text: string
  /** The text itself, where it is short, so that a message can say where another one differs. */
  readonly words?: string
  readonly style: Style
  /** The solver as the train block spells it: `sgd(lr: 0.1, momentum: 0.9)`. */
  readonly solver: string
  readonly schedule: string
  readonly augment: string
  /** Samples at a time, and how many times before an update. */
  readonly batch: number
  readonly accumulate: number
  /** Statistics that it normalizes with, if not each batch's own. */
  readonly stats?: TrainStats
  /** `false`: pictures were left as they are, whatever `augment` says. */
  readonly augmented?: false
  /** Names of the parameters that do not learn. */
  readonly frozen?: string
  /** The data that `train` was last given. */
  readonly data?: DataIdentity
}

/** The part of an identity that is settled when `train` is called. */
export type Course = Pick<TrainingIdentity, 'stats' | 'augmented' | 'frozen' | 'data'>

export interface DataIdentity {
  readonly samples: number
  /** Names, types and shapes of what is read of a sample. */
  readonly fields: string
  /** A hash of the contents of some samples and of the dataset's own mark; `varying` where two reads of one sample differ. */
  readonly fingerprint: string
  /** Updates that were done when the training over these data began: what its epochs count from. */
  readonly from: number
}

/** The identity of a training with a compiled net, as far as it is settled. */
export function identityOf(manifest: Manifest, batch: number, course?: Course): TrainingIdentity {
  const { train } = manifest
  const frozen = course?.frozen ?? namesOf(manifest.parameters.filter((p) => p.frozen).map(({ name }) => name))
  const words = manifest.source.files.map(({ text }) => essence(text)).join(' ')
  return {
    net: manifest.name,
    text: sha256Of(new TextEncoder().encode(words)),
    ...(words.length <= MOST_WORDS && { words }),
    style: manifest.style,
    solver: train ? showCall(train.solver) : '',
    schedule: (train?.schedule ?? []).filter(({ call }) => call !== 'fixed').map(showCall).join(', '),
    augment: (train?.augment ?? []).map(showCall).join(', '),
    batch,
    accumulate: train?.accumulate ?? 1,
    ...(course?.data && { data: course.data }),
    ...(course?.stats === 'global' && { stats: course.stats }),
    ...(course?.augmented === false && { augmented: course.augmented }),
    ...(frozen && { frozen }),
  }
}

/** Names as an identity has them; undefined for none. */
export const namesOf = (names: readonly string[]): string | undefined => (names.length > 0 ? [...names].sort().join(', ') : undefined)

/** Longer texts are known by their hash alone. */
const MOST_WORDS = 32 * 1024

/** `sgd(lr: 0.1, momentum: 0.9)` */
export function showCall({ call, args }: CallEntry): string {
  const show = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
    const { count, unit } = (value ?? {}) as { count?: unknown; unit?: unknown }
    return count !== undefined && unit !== undefined ? `${String(count)} ${String(unit)}`
      : typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' ? JSON.stringify(value) : String(value)
  }
  const names = Object.keys(args)
  return names.length ? `${call}(${names.map((name) => `${name}: ${show(args[name])}`).join(', ')})` : call
}

/**
 * A text of the language without what changes nothing of a training's net: comments, layout, `style` (which is compared by itself) and
 * the train block, whose settings are compared one by one, or may change on the way (its length, when it tests).
 */
export function essence(text: string): string {
  const tokens = text.match(/"(?:[^"\\\n]|\\.)*"?|\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)|->|[\w.]+|[^\s\w]/g) ?? []
  const kept: string[] = []
  let depth = 0
  let trainDepth = -1
  const meaning = tokens.filter((token) => !/^\/[/*]/.test(token))
  meaning.forEach((token, i) => {
    if (trainDepth < 0 && depth === 0 && token === 'train' && meaning[i + 1] === '{') trainDepth = depth
    const isStyle = depth === 0 && (token === 'style' || (meaning[i - 1] === 'style' && /^(merged|split)$/.test(token)))
    if (trainDepth < 0 && !isStyle) kept.push(token)
    if (token === '{') depth++
    if (token === '}' && --depth === trainDepth) trainDepth = -1
  })
  return kept.join(' ')
}
