import { join } from 'node:path'
import { InputError } from '../../../bundle/errors.ts'
import { entriesOf, holdsPictures, isPicture, subfolders } from './walk.ts'

/** The usual names of folders for each part of a data set, in lower case. */
const NAMES: Readonly<Record<Part, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['val', 'valid', 'validation', 'dev'],
  test: ['test', 'testing'],
}
export type Part = 'train' | 'validation' | 'test'
const partOf = (name: string): Part | undefined => (Object.keys(NAMES) as Part[]).find((part) => NAMES[part].includes(name.toLowerCase()))

/** Folders of the parts of a data set, and folders beside them that belong to no part. */
export interface Split {
  readonly folders: ReadonlyMap<Part, string>
  readonly beside: readonly string[]
}

/**
 * The parts of a data set, where the folders of a folder are such parts (`train`, `valid`, ...) and each holds a folder for each class.
 * Undefined where they are classes. `train` beside `bus` and `car` is a class where pictures lie in it. Throws InputError where both are
 * possible.
 */
export async function splitOf(folder: string): Promise<Split | undefined> {
  const names = await subfolders(folder)
  const parts = names.filter((name) => partOf(name))
  if (parts.length === 0) {
    await refuseLikeParts(folder, names)
    await refusePartsOfClasses(folder, names)
    return undefined
  }
  const others = names.filter((name) => !partOf(name))
  const withClasses = await filtered(parts, (name) => hasClasses(join(folder, name)))
  const withPictures = await filtered(others, (name) => holdsPictures(join(folder, name)))
  if (withPictures.length > 0) {
    const alike = await filtered(
      withClasses,
      async (name) => !(await entriesOf(join(folder, name))).some((entry) => entry.kind === 'file' && isPicture(entry.name)),
    )
    if (alike.length === 0) return undefined
    throw new InputError(
      `${folder} holds ${parts.join(', ')}, which are parts of a data set, beside ${shown(withPictures)} with pictures of their own: `
        + `name the folder that holds the classes (${join(folder, parts[0]!)}), or move the others away`,
    )
  }
  if (withClasses.length === 0) {
    const loose = await filtered(parts, (name) => holdsPictures(join(folder, name)))
    if (loose.length === 0)
      throw new InputError(
        `${shown(parts.map((name) => join(folder, name)))} ${parts.length > 1 ? 'hold' : 'holds'} no pictures (PNG, JPEG, WebP, ...)`,
      )
    throw new InputError(
      `pictures lie directly in ${shown(loose.map((name) => join(folder, name)))}: a part of a data set holds a folder a class, ${
        join(loose[0]!, 'cat')
      }, ${join(loose[0]!, 'dog')}, ...`,
    )
  }
  const folders = new Map<Part, string>()
  for (const name of parts) {
    const part = partOf(name)!
    const before = folders.get(part)
    if (before !== undefined)
      throw new InputError(`${join(folder, before)} and ${join(folder, name)} mean the same part of the data: keep one of them there`)
    folders.set(part, name)
  }
  return { folders: new Map([...folders].map(([part, name]) => [part, join(folder, name)])), beside: others }
}

/** The part that a name speaks of by one of its words: `train_set`, `seg_test`. */
const speaksOf = (name: string): Part | undefined => name.split(/[^A-Za-z]+/).map(partOf).find((part) => part !== undefined)

/** Throws where all folders are named after parts, with words more (`train_set`, `test_set`), and hold folders of classes. */
async function refuseLikeParts(folder: string, names: readonly string[]): Promise<void> {
  const parts = new Set(names.map(speaksOf))
  if (parts.size < 2 || parts.has(undefined) || (await filtered(names, (name) => hasClasses(join(folder, name)))).length < names.length)
    return
  throw new InputError(
    `${shown(names)} in ${folder} are named as parts of a data set and hold folders of classes: call them ${
      names.map((name) => speaksOf(name)).join(', ')
    }, `
      + 'or, if they are classes, lay their pictures directly into them',
  )
}

/** Throws where classes hold parts, instead of parts classes: what is for tests would be trained with. */
async function refusePartsOfClasses(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const inner = (await subfolders(join(folder, name))).filter((inner) => partOf(inner))
    if (new Set(inner.map(partOf)).size < 2 || (await filtered(inner, (part) => holdsPictures(join(folder, name, part)))).length < 2)
      continue
    throw new InputError(
      `${join(folder, name)} holds ${inner.join(', ')}, which are parts of a data set: a part holds a folder a class, ${
        join(folder, inner.find((part) => partOf(part) === 'train') ?? inner[0]!, name)
      }, and not a class its parts`,
    )
  }
}

/** Whether there are folders with pictures in a folder. */
async function hasClasses(folder: string): Promise<boolean> {
  for (const name of await subfolders(folder)) if (await holdsPictures(join(folder, name))) return true
  return false
}

async function filtered<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> {
  const found: T[] = []
  for (const item of items) if (await test(item)) found.push(item)
  return found
}

const MOST_SHOWN = 6
const shown = (names: readonly string[]): string =>
  `${names.slice(0, MOST_SHOWN).join(', ')}${names.length > MOST_SHOWN ? `, ... (${names.length})` : ''}`
