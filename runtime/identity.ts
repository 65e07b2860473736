import { countOf } from '../bundle/plain.ts'
import type { Dataset } from './data/dataset.ts'
import { sha256Of } from '../bundle/digest.ts'
import { InputError } from '../bundle/errors.ts'
import type { DataType } from '../bundle/format.ts'
import { elementCount, showShape } from '../bundle/sizes.ts'
import type { DataIdentity, TrainingIdentity } from '../bundle/training-identity.ts'

export const NO_COURSE = { data: undefined, stats: undefined, augmented: undefined, frozen: undefined } as const

/** A difference between the identities of two trainings. */
export interface Contradiction {
  readonly what: Exclude<keyof TrainingIdentity, 'words'>
  readonly here: string
  readonly there: string
}

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

/** Lists contradictions in the order in which a person should hear of them. Data count where both have some. */
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
  const parts = [countOf(data.samples, 'sample')]
  if (data.fields !== other.fields) parts.push(`of ${data.fields}`)
  if (data.samples === other.samples && data.fields === other.fields) parts.push(`with fingerprint ${data.fingerprint}`)
  return parts.join(' ')
}

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
