import { InputError } from '../../bundle/errors.ts'
import { checkOptions, positive, type Rule } from '../../bundle/options.ts'
import { isNamed, say } from '../../bundle/plain.ts'
import { permutation } from '../random.ts'
import { sha256Of } from '../../bundle/digest.ts'
import { elementCount, showShape } from '../../bundle/sizes.ts'
import { type Arrays, checkDataset, type Dataset, type Draw } from './dataset.ts'
import { shapeProblem } from './fields.ts'

/** One of the datasets that are mixed. */
export interface MixPart {
  readonly data: Dataset
  /** This dataset's part of the mixture, relative to the shares of the others. Default: its number of samples. */
  readonly share?: number
  /** Each of its classes equally often, however many samples of it there are. Default false. */
  readonly balanced?: boolean
}

export interface MixOptions {
  /** Samples of the mixture. Default: as many as all parts have. */
  readonly length?: number
}

const SHARE: Rule = [(v) => Number.isFinite(v) && (v as number) > 0, 'a number above 0']

interface Part {
  readonly data: Dataset
  readonly balanced: boolean
  /** Index of its first sample, where the samples of all datasets stand in a row. */
  readonly from: number
  readonly slots: number
  /** The samples of each class, once they were asked for; without `balanced` all of them are one. */
  groups?: Promise<readonly Uint32Array[]>
}

/**
 * A dataset of several, each with its share: what is new beside what shall not be forgotten (rehearsal). A part with fewer samples than its share repeats them; of one with
 * more, each epoch takes others. Which ones follows from (seed, epoch), so a training that goes on sees the same. Throws InputError for parts whose samples differ.
 */
export function mix(parts: readonly MixPart[], options: MixOptions = {}): Dataset {
  const { length: wanted } = checkOptions('mix', options, { length: positive })
  const list = checkParts(parts)
  const shares = list.map(({ data, share }) => share ?? data.length)
  const total = shares.reduce((a, b) => a + b)
  const length = wanted ?? list.reduce((sum, { data }) => sum + data.length, 0)
  const ends = shares.map((_, i) => Math.round((length * shares.slice(0, i + 1).reduce((a, b) => a + b)) / total))
  const all: Part[] = list.map(({ data, balanced = false }, i) => ({
    data,
    balanced,
    from: ends[i - 1] ?? 0,
    slots: ends[i]! - (ends[i - 1] ?? 0),
  }))
  const { fields } = list[0]!.data
  const marks = list.every(({ data }) => data.mark)
  return {
    length,
    fields,
    async read(indices, into, draw) {
      for (const part of all) {
        const mine = [...Array(indices.length).keys()].filter((k) => indices[k]! >= part.from && indices[k]! < part.from + part.slots)
        if (mine.length > 0) await readPart(part, mine.map((k) => indices[k]! - part.from), mine, into, draw)
      }
    },
    ...(marks &&
      {
        mark: async () =>
          sha256Of(
            new TextEncoder().encode(
              JSON.stringify([
                length,
                await Promise.all(all.map(async ({ data, balanced, slots }) => [await data.mark!(), balanced, slots])),
              ]),
            ),
          ),
      }),
  }
}

function checkParts(given: readonly MixPart[]): readonly MixPart[] {
  if (!Array.isArray(given) || given.length === 0) throw new InputError(`mix takes a list of parts, [{ data, share }], not ${say(given)}`)
  const parts = given.map((part: MixPart, i) => {
    if (!isNamed(part) || !('data' in part)) throw new InputError(`part ${i + 1} of mix is wanted as { data, share }, not ${say(part)}`)
    const { data, ...rest } = part
    checkOptions(`part ${i + 1} of mix`, rest, { share: SHARE, balanced: [(v) => typeof v === 'boolean', 'true or false'] })
    checkDataset(data)
    return part
  }).filter(({ data, share }, i) => {
    if (data.length === 0 && share !== undefined && given.length > 1)
      throw new InputError(`part ${i + 1} of mix is empty, so it cannot be ${share} of anything: leave it out`)
    return data.length > 0
  })
  const [first] = parts
  if (!first) throw new InputError('mix: there are no samples in any part')
  parts.forEach(({ data }, i) => {
    for (const [name, field] of Object.entries(first.data.fields)) {
      const other = data.fields[name]
      const differ = (why: string): InputError => new InputError(`the parts of mix do not hold the same: ${why}`)
      if (!other) throw differ(`part ${i + 1} has no ${name} (it has ${Object.keys(data.fields).join(', ')})`)
      if (other.type !== field.type || shapeProblem(other.shape, field.shape) !== undefined)
        throw differ(`${name} is ${field.type} ${showShape(field.shape)} in one, ${other.type} ${showShape(other.shape)} in another`)
      const [names, others] = [field.classNames, other.classNames]
      if (names && others && names.join('\n') !== others.join('\n'))
        throw differ(`label 0 of ${name} and so on is ${names.slice(0, 4).join(', ')} in one, ${others.slice(0, 4).join(', ')} in another`)
      if (field.columns && other.columns && field.columns.join('\n') !== other.columns.join('\n'))
        throw differ(`the columns of ${name} are called otherwise, or are in another order`)
    }
  })
  return parts
}

/** Reads what stands at these slots of a part, and puts it to these places of `into`. */
async function readPart(
  part: Part,
  slots: readonly number[],
  places: readonly number[],
  into: Arrays,
  draw: Draw | undefined,
): Promise<void> {
  const groups = await (part.groups ??= groupsOf(part))
  const chosen = slots.map((slot) => {
    const group = groups[slot % groups.length]!
    const at = Math.floor(slot / groups.length)
    return draw ? shuffled(group, draw, Math.floor(at / group.length))[at % group.length]! : group[at % group.length]!
  })
  const own = Object.fromEntries(
    Object.keys(into).map((name) => {
      const size = elementCount(part.data.fields[name]!.shape)
      return [name, into[name] instanceof Int32Array ? new Int32Array(size * chosen.length) : new Float32Array(size * chosen.length)]
    }),
  )
  await part.data.read(chosen, own, draw)
  for (const name of Object.keys(into)) {
    const size = elementCount(part.data.fields[name]!.shape)
    places.forEach((place, k) => into[name]!.set(own[name]!.subarray(k * size, (k + 1) * size), place * size))
  }
}

/** The last order of each group: an epoch asks for the same ones again and again. */
const orders = new WeakMap<Uint32Array, { key: string; order: Uint32Array }>()

/** Gives a group in the order of a round of an epoch: each sample once a round. */
function shuffled(group: Uint32Array, { seed, epoch }: Draw, round: number): Uint32Array {
  const key = `${seed} ${epoch} ${round}`
  const known = orders.get(group)
  if (known?.key === key) return known.order
  const order = permutation(group.length, seed, epoch * 65536 + round).map((i) => group[i]!)
  orders.set(group, { key, order })
  return order
}

/** Samples at a time that are asked for their labels. */
const LOOKED_AT = 1024

async function groupsOf({ data, balanced }: Part): Promise<Uint32Array[]> {
  const all = Uint32Array.from({ length: data.length }, (_, i) => i)
  if (!balanced) return [all]
  const label = Object.entries(data.fields).find(([, { classes, shape }]) => classes !== undefined && shape.length === 0)?.[0]
  if (label === undefined)
    throw new InputError(`mix: what is balanced has a label a sample, this holds ${Object.keys(data.fields).join(', ')}`)
  const byClass = new Map<number, number[]>()
  for (let from = 0; from < data.length; from += LOOKED_AT) {
    const indices = all.subarray(from, from + LOOKED_AT)
    const labels = new Int32Array(indices.length)
    await data.read(indices, { [label]: labels })
    labels.forEach((of, k) => {
      const group = byClass.get(of)
      if (group) group.push(from + k)
      else byClass.set(of, [from + k])
    })
  }
  return [...byClass].sort(([a], [b]) => a - b).map(([, list]) => Uint32Array.from(list))
}
