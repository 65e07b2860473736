import type { TrainStats } from '../../bundle/programs.ts'
import { isShare } from '../../runtime/data/limit.ts'
import { InputError } from '../../bundle/errors.ts'

/** The options that a training was started with. When it is resumed, it goes on with the same. */
export interface TrainChoices {
  readonly data?: string
  readonly testData?: string
  readonly skipBroken?: boolean
  readonly batch?: number
  readonly limit?: number
  readonly epochs?: number
  readonly steps?: number
  readonly seed?: number
  /** Chose the samples of `limit`, if another did than `seed`: that of the first of several trainings. */
  readonly dataSeed?: number
  readonly style?: 'merged' | 'split'
  readonly memory?: 'fast' | 'small'
  readonly precise?: boolean
  /** The number of training samples that are kept back for tests on the way. */
  readonly validation?: number
  /** The measure of the best weights, which the bundle gets. */
  readonly best?: string
  /** Tests on the way without a better one after which it ends. */
  readonly patience?: number
  /** Patterns of parameters that do not learn. */
  readonly freeze?: readonly string[]
  /** Statistics that batch_norm normalizes with. Default `batch`. */
  readonly stats?: TrainStats
  /** Folder of the bundle. */
  readonly output?: string
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isWhole = (least: number) => (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= least
const isOneOf = (...words: unknown[]) => (value: unknown): boolean => words.includes(value)

/** The check of each choice, as strict as that of command line options, since anybody may have written the snapshot. */
const FORMS: { readonly [name in keyof Required<TrainChoices>]: (value: unknown) => boolean } = {
  data: isText,
  testData: isText,
  skipBroken: isOneOf(true, false),
  batch: isWhole(1),
  limit: isWhole(1),
  epochs: isWhole(1),
  steps: isWhole(1),
  seed: isWhole(0),
  dataSeed: isWhole(0),
  style: isOneOf('merged', 'split'),
  memory: isOneOf('fast', 'small'),
  precise: isOneOf(true, false),
  stats: isOneOf('batch', 'global'),
  output: isText,
  validation: isShare,
  best: isText,
  patience: isWhole(1),
  freeze: (value) => Array.isArray(value) && value.every(isText),
}

/** The choices that a snapshot keeps. Throws InputError. */
export function parseChoices(text: string, what: string): TrainChoices {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new InputError(`${what}: its options are not JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InputError(`${what}: its options are not understood`)
  for (const [name, found] of Object.entries(value)) {
    const form = Object.hasOwn(FORMS, name) ? FORMS[name as keyof TrainChoices] : undefined
    if (!form?.(found)) throw new InputError(`${what}: its option ${name} is ${JSON.stringify(found)}, which no training was started with`)
  }
  return value as TrainChoices
}
