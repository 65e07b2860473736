import { augment } from '../runtime/data/augment.ts'
import { type Dataset, select } from '../runtime/data/dataset.ts'
import { holdOut, limited } from '../runtime/data/limit.ts'
import type { DataEntry } from '../runtime/data/node/data-files.ts'
import { holdsPictures, loadData, NAMED_DATA, pictureShape } from '../runtime/data/node-datasets.ts'
import { InputError } from '../bundle/errors.ts'
import type { Bundle, InputEntry } from '../bundle/format.ts'
import { permutation } from '../runtime/random.ts'
import { type ClassCount, countClasses } from './data/classes.ts'
import { decodedShape } from './data/pictures.ts'
import { UsageError } from './exit.ts'
import type { Screen } from './screen.ts'
import { countOf } from '../bundle/plain.ts'

export interface NetData {
  readonly name: string
  readonly train: Dataset
  readonly test: Dataset
  /** The part for tests on the way, where the data have one or one was kept back. */
  readonly validation?: Dataset
  /** The classes with the number of samples of each, as they are used. */
  readonly classes?: readonly ClassCount[]
  readonly notes: readonly string[]
}

export interface NetDataRequest {
  /** `--data` and `--test-data`; else what the file says. */
  readonly option?: string
  readonly testData?: string
  readonly skipBroken?: boolean
  /** The samples that are used: of all classes, chosen by `seed`. */
  readonly limit?: number
  readonly seed: number
  /** The number of training samples to keep back for tests on the way: see `holdOut`. */
  readonly validation?: number
  /** Inputs that are read from the data. */
  readonly inputs: readonly InputEntry[]
  /** `train`: both parts are used, the limit is the training's. Else the part that is evaluated; undefined: what was handed in, whole. */
  readonly use: 'train' | { readonly part?: 'test' | 'train' | 'validation'; readonly shuffled?: boolean }
}

/**
 * The data that `--data` or the file's train block names; `augment` is done by who trains and evaluates. What they hold is
 * told: classes and counts, what was left out, where the test part comes from. Throws InputError where they do not fit the net.
 */
export async function netData(bundle: Bundle, request: NetDataRequest, screen: Screen): Promise<NetData> {
  const { inputs, train } = bundle.manifest
  const { use, limit, seed } = request
  const changes = train?.augment ?? []
  const whole = use !== 'train' && use.part === undefined && request.option !== undefined
  const files = await sayHowToGet(request.option, train?.data?.call, async () => {
    const entry = request.option ?? train?.data
    if (entry === undefined)
      throw new InputError(
        'there is no data to use: the file has no `data` in a train block; name a data set, a folder or files: --data mnist, --data DIR, --data FILE.csv',
      )
    if (request.skipBroken && !await holdsPictures(entry) && (request.testData === undefined || !await holdsPictures(request.testData)))
      throw new UsageError(`--skip-broken leaves out pictures that cannot be read, and ${sayData(entry)} is no folder of pictures`)
    return loadData(entry, {
      root: screen.terminal.env['FUSENET_DATA'] ?? 'data',
      inputs: request.inputs,
      testData: request.testData,
      skipBroken: request.skipBroken,
      whole,
      shape: () => decodedShape(pictureShape(pictureInput(inputs)), changes),
    })
  })
  const few = async (dataset: Dataset): Promise<Dataset> => (limit === undefined ? dataset : limited(dataset, limit, seed))
  let data: NetData
  let used: Record<string, Dataset>
  if (use === 'train') {
    data = await keptBack({ ...files, train: await few(files.train) }, request)
    used = { train: data.train, ...(data.validation && { validation: data.validation }), test: data.test }
  } else {
    const part = use.part ?? 'test'
    const found = files[part]
    const keptBack = bundle.manifest.best?.keptBack
    if (!found)
      throw new InputError(
        `${files.name} has no part for ${part}${
          part === 'validation' && keptBack !== undefined
            ? `: the ${countOf(keptBack, 'sample')} that a training kept back by --validation ${
              keptBack === 1 ? 'is' : 'are'
            } among those of --part train` : ''
        }`,
      )
    const some = await few(found)
    // Statistics of a batch want samples of all classes in each, and files hold one class after the other.
    const samples = use.shuffled ? select(some, permutation(some.length, seed, 0)) : some
    data = { ...files, [part]: samples }
    used = { [part]: samples }
  }
  // What feeds what is told by shapes as they will be.
  const report = await countClasses(
    request.inputs,
    Object.fromEntries(Object.entries(used).map(([part, dataset]) => [part, augment(dataset, changes, request.inputs)])),
    use === 'train',
  )
  if (!screen.json) { for (const line of [...(report?.lines ?? []), ...data.notes]) screen.note(line) }
  return { ...data, ...(report && { classes: report.classes }) }
}

const sayData = (entry: DataEntry): string => (typeof entry === 'string' ? entry : entry.call)

/** Keeps a part back for tests on the way, with `--validation`: the data must not have one already. */
async function keptBack(data: NetData, { validation, seed }: NetDataRequest): Promise<NetData> {
  if (validation === undefined) return data
  if (data.validation)
    throw new InputError(
      `${data.name} has a part for validation, of ${
        countOf(data.validation.length, 'sample')
      }: leave out --validation, or move that part away`,
    )
  const { rest, held } = await holdOut(data.train, validation, seed)
  const labelled = Object.values(data.train.fields).some(({ type, shape }) => type === 'i32' && shape.every((dim) => dim === 1))
  return {
    ...data,
    train: rest,
    validation: held,
    notes: [
      ...data.notes,
      `${held.length} of ${data.train.length} samples${labelled ? ', of all classes,' : ''} ${
        held.length === 1 ? 'is' : 'are'
      } kept back for validation (seed ${seed})`,
    ],
  }
}

function pictureInput(inputs: readonly InputEntry[]): InputEntry {
  const found = inputs.find((input) => input.type === 'f32')
  if (!found) throw new InputError('the net has no input for pictures')
  return found
}

/** A published set that is not here: where it can be had. */
async function sayHowToGet<T>(option: string | undefined, called: string | undefined, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const name = option ?? called ?? ''
    const how = NAMED_DATA.get(name)
    if (!(error instanceof InputError) || !how || !error.message.startsWith('looked for ')) throw error
    throw new InputError(
      `${name} is not here (${error.message}): ${how}; or name its folder by --data, or the folder above it by FUSENET_DATA`,
    )
  }
}
