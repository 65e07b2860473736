import { realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { InputError } from '../../../bundle/errors.ts'
import { byClassName } from './read.ts'
import { namesProblem } from '../../../bundle/class-names.ts'
import { brokenPictures } from './broken.ts'
import { type DataFiles, type DataOptions, isTest, TEST_EVERY } from './data-files.ts'
import { type Picture, pictureDataset, roomForPictures } from './pictures.ts'
import type { PictureShape } from './sharp.ts'
import { type Split, splitOf } from './splits.ts'
import { entriesOf, isPicture, LeftOut, picturesBelow, subfolders } from './walk.ts'

export const isPictureFolder = async (folder: string): Promise<boolean> => (await subfolders(folder)).length > 0

interface Files {
  readonly path: string
  readonly name: string
}

/**
 * A folder a class, pictures in it, in folders of their own if one likes; or folders of the parts (`train`, `val`, `test`, in any case and
 * spelled out) with a folder a class in each. Labels count classes in the order of their names: numbers by their value, then words by code units. Without a test part every
 * fifth picture of a class is for testing, unless all are wanted (`whole`). Every picture is brought to `shape`.
 */
export async function readPictureFolder(folder: string, shape: PictureShape, options: DataOptions): Promise<DataFiles> {
  const split = await splitOf(folder)
  const left = new LeftOut()
  const notes: string[] = []
  const parts = split ? await partsOf(folder, split, left, options, notes) : await classesOf(folder, left, options, notes)
  const names = [...new Set([...parts.values()].flatMap((files) => files.map(({ name }) => name)))].sort(byClassName)
  const problem = namesProblem(names)
  if (problem !== undefined) throw new InputError(`${folder}: ${problem}`)
  if (names.length === 1 && !options.whole) throw await oneClass(split?.folders.get('train') ?? folder, names[0]!)
  const note = left.note()
  if (note) notes.push(note)

  const skipped = await broken([...new Set([...parts.values()].flat().map(({ path }) => path))], options, notes)
  const room = roomForPictures()
  const labels = new Map(names.map((name, i) => [name, i]))
  const dataset = (part: 'train' | 'validation' | 'test'): ReturnType<typeof pictureDataset> | undefined => {
    const files = parts.get(part)?.filter(({ path }) => !skipped.has(path))
    return files && pictureDataset(files.map(({ path, name }): Picture => ({ path, label: labels.get(name)! })), shape, names, room)
  }
  const train = dataset('train')!
  const test = options.whole && !parts.has('test') ? dataset('train')! : dataset('test')!
  const validation = dataset('validation')
  return { name: folder, train, test, ...(validation && { validation }), notes }
}

/** A single class: often the folder that an archive was packed in. */
async function oneClass(folder: string, name: string): Promise<InputError> {
  const inner = (await subfolders(join(folder, name)).catch(() => [])).length > 1
  return new InputError(
    `${folder} holds one class, ${name}, which leaves nothing to tell apart: pictures lie in a folder a class${
      inner ? `; did you mean ${join(folder, name)}?` : ''
    }`,
  )
}

type Parts = Map<'train' | 'validation' | 'test', readonly Files[]>

/** A folder a class: cut in two, unless all of it is wanted. */
async function classesOf(folder: string, left: LeftOut, options: DataOptions, notes: string[]): Promise<Parts> {
  const classes = await readClasses(folder, left, options.whole ?? false, notes)
  if (classes.size === 0) throw new InputError(`${folder} has no folders: pictures lie in a folder a class`)
  if (options.whole) return new Map([['train', [...classes.values()].flat()]])
  return options.testData === undefined ? cut(folder, classes, notes) : new Map([['train', [...classes.values()].flat()]])
}

function cut(folder: string, classes: ReadonlyMap<string, readonly Files[]>, notes: string[]): Parts {
  const all = [...classes.values()]
  const test = all.flatMap((files) => files.filter((_, i) => isTest(i)))
  if (test.length === 0)
    throw new InputError(
      `${folder} has too few pictures to keep one in ${TEST_EVERY} for testing: at least ${TEST_EVERY} in one class, or name others by --test-data`,
    )
  notes.push(`${folder} has no test part: every fifth picture of a class is kept for testing`)
  return new Map([['train', all.flatMap((files) => files.filter((_, i) => !isTest(i)))], ['test', test]])
}

async function partsOf(folder: string, { folders, beside }: Split, left: LeftOut, options: DataOptions, notes: string[]): Promise<Parts> {
  const names = [...folders.values()].map((path) => basename(path))
  if (beside.length > 0) notes.push(`${folder}: ${names.join(', ')} are used; ${beside.join(', ')} beside them hold no pictures`)
  const read = new Map<'train' | 'validation' | 'test', Map<string, readonly Files[]>>()
  for (const [part, path] of folders) {
    const classes = await readClasses(path, left, part !== 'train' || options.whole === true, notes)
    // Pictures of a contest's test part have no labels.
    if ([...classes.values()].some((files) => files.length > 0)) read.set(part, classes)
    else if (part === 'train' && !options.whole)
      throw new InputError(`${path} has no pictures in folders of classes: pictures lie in a folder a class`)
    else notes.push(`${path} is not used: it has no pictures in folders of classes`)
  }
  const flat = (part: 'train' | 'validation' | 'test'): readonly Files[] | undefined =>
    read.has(part) ? [...read.get(part)!.values()].flat() : undefined
  const train = read.get('train')
  if (!train && !options.whole) throw new InputError(`${folder} has ${names.join(' and ')}, and no train folder to train with`)
  const known = train && [...train.keys()]
  for (const part of ['validation', 'test'] as const) {
    const strange = known ? [...read.get(part)?.keys() ?? []].filter((name) => !known.includes(name)) : []
    if (strange.length > 0)
      throw new InputError(`${folders.get(part)} has classes that ${basename(folders.get('train')!)} has not: ${strange.join(', ')}`)
    const missing = known && read.has(part) ? known.filter((name) => !read.get(part)!.get(name)?.length) : []
    if (missing.length > 0) notes.push(`${folders.get(part)} has no pictures of ${missing.join(', ')}`)
  }
  const path = (part: 'train' | 'validation' | 'test'): string => basename(folders.get(part)!)
  if (read.has('test')) {
    if (read.has('validation') && !options.whole)
      notes.push(`${path('validation')} is for tests on the way, ${path('test')} for the last one`)
    if (options.whole) notes.push(`of ${folder} the part ${path('test')} is used`)
    return new Map([
      ['train', flat('train') ?? flat('test')!],
      ['test', flat('test')!],
      ...(read.has('validation') ? [['validation', flat('validation')!] as const] : []),
    ])
  }
  if (read.has('validation')) {
    notes.push(
      options.whole ? `of ${folder} the part ${path('validation')} is used`
        : `${path('validation')} is for testing: ${folder} has no test folder`,
    )
    return new Map([['train', flat('train') ?? flat('validation')!], ['test', flat('validation')!]])
  }
  if (options.whole) {
    notes.push(`${folder} holds ${path('train')} alone: all of it is used`)
    return new Map([['train', flat('train')!]])
  }
  return options.testData === undefined ? cut(folders.get('train')!, train!, notes) : new Map([['train', flat('train')!]])
}

/** The pictures of each class. A class without any is refused, or, where others may have them, told. */
async function readClasses(folder: string, left: LeftOut, mayBeEmpty: boolean, notes: string[]): Promise<Map<string, readonly Files[]>> {
  const classes = new Map<string, readonly Files[]>()
  const empty: string[] = []
  const here = await realpath(folder)
  for (const entry of await entriesOf(folder, left)) {
    if (entry.kind === 'file') {
      if (isPicture(entry.name)) left.add('loose')
      else left.file(entry.name)
      continue
    }
    // Disks write the same letters in more than one way (macOS takes them apart).
    const name = entry.name.normalize('NFC')
    if (classes.has(name)) throw new InputError(`${folder} has two folders ${name}`)
    const own = new LeftOut()
    const found = await picturesBelow(join(folder, entry.name), own, [here])
    if (found.length === 0) empty.push(`${join(folder, entry.name)}${own.size > 0 ? ` (there are ${own})` : ''}`)
    left.join(own)
    classes.set(name, found.map((path) => ({ path, name })))
  }
  if (empty.length === 0) return classes
  const names = `${empty.slice(0, MOST_NAMED).join(', ')}${empty.length > MOST_NAMED ? `, ... (${empty.length} in all)` : ''}`
  const text = `${names} ${empty.length > 1 ? 'hold' : 'holds'} no pictures (PNG, JPEG, WebP, ...)`
  if (!mayBeEmpty) throw new InputError(`${text}: put some there, or remove the folder`)
  notes.push(text)
  return classes
}

const MOST_SHOWN = 20

/** So many folders are named in a sentence. */
const MOST_NAMED = 12

/** Looks at every picture before any work is done with them. Those that are to be left out, if that was asked for. */
async function broken(paths: readonly string[], { skipBroken }: DataOptions, notes: string[]): Promise<ReadonlySet<string>> {
  // A training could not leave out what breaks off in its middle.
  const found = await brokenPictures(paths, skipBroken)
  const list = [...found].sort(([a], [b]) => (a < b ? -1 : 1))
  const shown = list.slice(0, MOST_SHOWN).map(([path, why]) => `  ${path}: ${why.replace(`${path} `, '').split('\n')[0]}`).join('\n') +
    (list.length > MOST_SHOWN ? `\n  and ${list.length - MOST_SHOWN} more` : '')
  if (list.length === 0) return new Set()
  if (!skipBroken)
    throw new InputError(
      `${list.length} of ${paths.length} pictures cannot be read:\n${shown}\nMend or remove them, or leave them out by --skip-broken`,
    )
  if (list.length === paths.length) throw new InputError(`none of ${paths.length} pictures can be read:\n${shown}`)
  notes.push(`left out: ${list.length} of ${paths.length} pictures, which cannot be read:\n${shown}`)
  return new Set(found.keys())
}
