import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { withFile } from '../../loading/file-error.ts'
import { byCodeUnits } from './read.ts'

/** The extensions of files that are read as pictures: those that `sharp` reads as it is published. */
const PICTURES = ['.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.webp', '.gif', '.tif', '.tiff', '.avif']

export const isPicture = (path: string): boolean => PICTURES.includes(extname(path).toLowerCase())

/** Whether a name is hidden, or one that operating systems create by themselves. */
const isHidden = (name: string): boolean => name.startsWith('.') || /^(thumbs\.db|desktop\.ini|__macosx|@eadir)$/i.test(name)

/** The nouns for files of an extension, singular and plural. */
const KINDS = {
  broken: ['broken link', 'broken links'],
  circle: ['link in a circle', 'links in a circle'],
  device: ['device or pipe', 'devices and pipes'],
  loose: ['picture beside the folders of classes', 'pictures beside the folders of classes'],
  bare: ['file without an extension', 'files without an extension'],
} as const

/** Counts files that were left out, by extension, and links that lead nowhere or in a circle. */
export class LeftOut {
  readonly #counts = new Map<string, number>()

  add(kind: keyof typeof KINDS | `.${string}`): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
  }

  file(name: string): void {
    const extension = extname(name).toLowerCase()
    this.add(extension.length > 1 ? (extension as `.${string}`) : 'bare')
  }

  join(other: LeftOut): void {
    for (const [kind, count] of other.#counts) this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count)
  }

  get size(): number {
    return this.#counts.size
  }

  /** `6 .bmp, 2 .txt` */
  toString(): string {
    return [...this.#counts].sort(([a, n], [b, m]) => m - n || byCodeUnits(a, b)).map(([kind, count]) =>
      `${count} ${Object.hasOwn(KINDS, kind) ? KINDS[kind as keyof typeof KINDS][count === 1 ? 0 : 1] : kind}`
    ).join(', ')
  }

  /** A sentence for people, with what to do; '' where nothing was left out. */
  note(): string {
    if (this.#counts.size === 0) return ''
    const convert = [...this.#counts.keys()].filter((kind) =>
      /^\.(bmp|heic|heif|jp2|jxl|ppm|pgm|pnm|tga|ico|svg|psd|dcm|raw|cr2|nef)$/.test(kind)
    )
    return `left out: ${this.toString()}${convert.length > 0 ? ` (${convert.join(', ')} cannot be read here: convert to .png)` : ''}`
  }
}

export interface Found {
  readonly name: string
  readonly kind: 'file' | 'folder'
}

/** The entries of a folder in the order of code units, with links followed and hidden names left out. */
export async function entriesOf(folder: string, left?: LeftOut): Promise<Found[]> {
  const entries = await withFile(folder, 'read', () => readdir(folder, { withFileTypes: true }))
  const found: Found[] = []
  for (const entry of entries.sort((a, b) => byCodeUnits(a.name, b.name))) {
    if (isHidden(entry.name)) continue
    const kind = await kindOf(folder, entry)
    if (kind) found.push({ name: entry.name, kind })
    else left?.add(entry.isSymbolicLink() ? 'broken' : 'device')
  }
  return found
}

async function kindOf(folder: string, entry: Dirent): Promise<Found['kind'] | undefined> {
  if (entry.isDirectory()) return 'folder'
  if (entry.isFile()) return 'file'
  // Links, and disks that tell no kinds.
  const meant = await stat(join(folder, entry.name)).catch(() => undefined)
  return meant?.isDirectory() ? 'folder' : meant?.isFile() ? 'file' : undefined
}

export async function subfolders(folder: string): Promise<string[]> {
  return (await entriesOf(folder)).filter(({ kind }) => kind === 'folder').map(({ name }) => name)
}

/** The pictures of a folder and of all folders in it. A link to a folder that it lies in is left out. */
export async function picturesBelow(folder: string, left: LeftOut, above: readonly string[] = []): Promise<string[]> {
  const found: string[] = []
  const walk = async (folder: string, above: readonly string[]): Promise<void> => {
    const here = await withFile(folder, 'read', () => realpath(folder))
    if (above.includes(here)) return left.add('circle')
    for (const { name, kind } of await entriesOf(folder, left)) {
      if (kind === 'folder') await walk(join(folder, name), [...above, here])
      else if (isPicture(name)) found.push(join(folder, name))
      else left.file(name)
    }
  }
  await walk(folder, above)
  return found
}

/** Whether there is a picture somewhere in a folder. */
export async function holdsPictures(folder: string, above: readonly string[] = []): Promise<boolean> {
  const here = await realpath(folder).catch(() => folder)
  if (above.includes(here)) return false
  const entries = await entriesOf(folder)
  if (entries.some(({ name, kind }) => kind === 'file' && isPicture(name))) return true
  for (const { name, kind } of entries) if (kind === 'folder' && await holdsPictures(join(folder, name), [...above, here])) return true
  return false
}
