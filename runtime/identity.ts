import type { Dataset } from './data/dataset.ts'
import { sha256Of } from '../bundle/digest.ts'
import { InputError } from '../bundle/errors.ts'
import type { CallEntry, DataType, Manifest, Style } from '../bundle/format.ts'
import type { TrainStats } from '../bundle/programs.ts'
import { elementCount, showShape } from '../bundle/sizes.ts'

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
export const NO_COURSE = { data: undefined, stats: undefined, augmented: undefined, frozen: undefined } as const

export interface DataIdentity {
  readonly samples: number
  /** Names, types and shapes of what is read of a sample. */
  readonly fields: string
  /** A hash of the contents of some samples and of the dataset's own mark; `varying` where two reads of one sample differ. */
  readonly fingerprint: string
  /** Updates that were done when the training over these data began: what its epochs count from. */
  readonly from: number
}

/** A difference between the identities of two trainings. */
export interface Contradiction {
  readonly what: Exclude<keyof TrainingIdentity, 'words'>
  readonly here: string
  readonly there: string
}

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

/** The words for each part of an identity in messages. */
const NAMES: Readonly<Record<Contradiction['what'], string>> = {
  net: 'net',
  text: 'text of the net',
  style: 'style',
  solver: 'solver',
  schedule: 'schedule',
  augment: 'augment',
  batch: 'batch',
  accumulate: 'accumulate',
  stats: 'stats',
  augmented: 'augment of train',
  frozen: 'freeze',
  data: 'data',
}

/** In the order in which a person should hear of them. Data count where both have some. */
export function contradictions(here: TrainingIdentity, there: TrainingIdentity): Contradiction[] {
  const found: Contradiction[] = []
  for (
    const what of ['net', 'solver', 'schedule', 'augment', 'batch', 'accumulate', 'style', 'stats', 'augmented', 'frozen', 'text'] as const
  ) {
    if (here[what] === there[what]) continue
    const [a, b] = what === 'text' ? firstDifference(here.words, there.words) : [say(what, here), say(what, there)]
    found.push({ what, here: a, there: b })
  }
  if (here.data && there.data && !sameData(here.data, there.data))
    found.push({ what: 'data', here: showData(here.data, there.data), there: showData(there.data, here.data) })
  return found
}

const say = (what: keyof TrainingIdentity, { [what]: value }: TrainingIdentity): string =>
  short(String(value ?? (what === 'stats' ? 'batch' : what === 'augmented' ? true : '')) || (what === 'frozen' ? 'nothing' : 'none'))

const short = (text: string): string => (text.length > 160 ? `${text.slice(0, 150)}... (${text.split(', ').length})` : text)

export const sayContradiction = ({ what, here, there }: Contradiction): string =>
  what === 'text' && here === there ? `the ${NAMES.text} is another one` : `${NAMES[what]} is ${here} here, and ${there} in that training`

/** Around the first word in which two texts differ; the same for both where a text is not there. */
function firstDifference(here = '', there = ''): readonly [string, string] {
  const [a, b] = [here.split(' '), there.split(' ')]
  const at = a.findIndex((word, i) => word !== b[i])
  const from = Math.max(0, (at < 0 ? a.length : at) - 4)
  const show = (words: readonly string[]): string =>
    `\`${from > 0 ? '... ' : ''}${words.slice(from, from + 9).join(' ')}${words.length > from + 9 ? ' ...' : ''}\``
  return here && there ? [show(a), show(b)] : ['', '']
}

/** A snapshot is of another training than the one that is to go on. */
export class OtherTrainingError extends InputError {
  readonly contradictions: readonly Contradiction[]

  constructor(found: readonly Contradiction[]) {
    super(
      `this snapshot is of another training: ${
        found.map(sayContradiction).join('; ')
      }. A new training starts from its parameters by setParameters`,
    )
    this.contradictions = found
  }
}

/** Throws OtherTrainingError with all that this training and a snapshot's do not have in common. */
export function refuseContradictions(here: TrainingIdentity, there: TrainingIdentity): void {
  const found = contradictions(here, there)
  if (found.length) throw new OtherTrainingError(found)
}

export function sameData(a: DataIdentity, b: DataIdentity): boolean {
  const varying = a.fingerprint === VARYING || b.fingerprint === VARYING
  return a.samples === b.samples && a.fields === b.fields && (varying || a.fingerprint === b.fingerprint)
}

/** The shortest description of the data that tells them from the others. */
function showData(data: DataIdentity, other: DataIdentity): string {
  const parts = [`${data.samples} samples`]
  if (data.fields !== other.fields) parts.push(`of ${data.fields}`)
  if (data.samples === other.samples && data.fields === other.fields) parts.push(`with fingerprint ${data.fingerprint}`)
  return parts.join(' ')
}

/** Longer texts are known by their hash alone. */
const MOST_WORDS = 32 * 1024
const VARYING = 'varying'
/** Samples whose contents are looked at, and numbers of them at most. */
const LOOKED_AT = 32
const MOST_NUMBERS = 2 ** 20

/** The identity of data that are trained over, but for where it begins. `fields`: of the dataset, those that are read. */
export async function dataIdentity(dataset: Dataset, fields: readonly string[]): Promise<Omit<DataIdentity, 'from'>> {
  const names = [...new Set(fields)].sort()
  const size = names.reduce((sum, name) => sum + elementCount(dataset.fields[name]!.shape), 0)
  const count = Math.max(1, Math.min(LOOKED_AT, dataset.length, Math.floor(MOST_NUMBERS / size)))
  const spread = Array.from({ length: count }, (_, i) => Math.round((i * (dataset.length - 1)) / Math.max(1, count - 1)))
  const hashOf = async (indices: readonly number[]): Promise<string> => {
    const arrays = Object.fromEntries(names.map((name) => {
      const { type, shape } = dataset.fields[name]!
      const length = indices.length * elementCount(shape)
      return [name, type === 'i32' ? new Int32Array(length) : new Float32Array(length)]
    }))
    await dataset.read(indices, arrays)
    return sha256Of(new TextEncoder().encode(names.map((name) => sha256Of(new Uint8Array(arrays[name]!.buffer))).join()))
  }
  const describe = (name: string): string => {
    const { classes, type, shape }: { classes?: number; type: DataType; shape: readonly number[] } = dataset.fields[name]!
    return `${name} ${classes === undefined ? type : `class[${classes}]`}${showShape(shape)}`
  }
  const same = await hashOf([spread[0]!]) === await hashOf([spread[0]!])
  const mark = await dataset.mark?.() ?? ''
  const fingerprint = same ? sha256Of(new TextEncoder().encode(`${await hashOf(spread)} ${mark}`)).slice(0, 16) : VARYING
  return { samples: dataset.length, fields: names.map(describe).join(', '), fingerprint }
}

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

/** Reads an identity that was written as JSON. Throws InputError. */
export function parseIdentity(text: string, what: string): TrainingIdentity {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new InputError(`${what}: its identity is not JSON`)
  }
  const holds = (object: unknown, types: Readonly<Record<string, 'string' | 'number'>>): object is Record<string, unknown> =>
    typeof object === 'object' && object !== null && Object.entries(types).every(([key, type]) => {
      const found = (object as Record<string, unknown>)[key]
      return typeof found === type && (type !== 'number' || (Number.isSafeInteger(found) && (found as number) >= 0))
    })
  const whole = (object: unknown): boolean =>
    holds(object, {
      net: 'string',
      text: 'string',
      style: 'string',
      solver: 'string',
      schedule: 'string',
      augment: 'string',
      batch: 'number',
      accumulate: 'number',
    })
    && ['string', 'undefined'].includes(typeof object['words'])
    && ['string', 'undefined'].includes(typeof object['frozen'])
    && (object['stats'] === undefined || object['stats'] === 'global')
    && (object['augmented'] === undefined || object['augmented'] === false)
    && (object['data'] === undefined ||
      holds(object['data'], { samples: 'number', fields: 'string', fingerprint: 'string', from: 'number' }))
  if (!whole(value)) throw new InputError(`${what}: its identity is not one of a training`)
  return value as TrainingIdentity
}
