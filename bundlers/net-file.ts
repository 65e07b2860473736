import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { check, compile } from '../compiler/index.ts'
import type { Diagnostic } from '../dsl/diagnostic.ts'
import type { Source } from '../dsl/source.ts'
import { withNamesOfWeights } from '../runtime/data/names-of-weights.ts'
import { InputError } from '../bundle/errors.ts'
import { bundleFiles, MANIFEST_FILE } from '../runtime/loading/files.ts'
import type { Bundle } from '../bundle/format.ts'
import { withoutFacts } from '../bundle/stored.ts'
import type { NetFileOptions } from './options.ts'
import { findWeights, type Fitted, fitWeights, readWeights } from './weights.ts'

/** A net that was compiled to be served. */
export interface NetFile {
  readonly file: string
  readonly bundle: Bundle
  /** The files of the bundle by their names. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Hash of all files: 8 hexadecimal digits. */
  readonly hash: string
  /** Warnings of the compiler. */
  readonly warnings: readonly Diagnostic[]
  /** Undefined where there were no weights to take. */
  readonly fitted?: Fitted
  readonly weightsPath?: string
  /** Hash of the contents of the weight files. */
  readonly weightsStamp: string
}

/** The result of compiling a net: the net or the error, with the files whose change would change it. */
export type Outcome = { readonly watched: readonly string[] } & ({ readonly net: NetFile } | { readonly error: unknown })

interface Kept {
  readonly stamps: ReadonlyMap<string, string>
  readonly outcome: Promise<Outcome>
}

/** Page, worker and server of one build ask for the same nets: each is compiled once, until a file that it is made of changes. */
const kept = new Map<string, Kept>()
/** The number of compilations that are kept. Of one file and one choice of options the newest alone is kept, so this bounds files, not time. */
const MOST_KEPT = 100

/** Compiles a `.net` file. `root`: what names of files in messages and in the bundle are relative to. Never rejects. */
export async function compileNet(file: string, root: string, options: NetFileOptions): Promise<Outcome> {
  const key = JSON.stringify([file, root, options])
  const known = kept.get(key)
  if (known && [...known.stamps].every(([path, stamp]) => stampOf(path) === stamp)) return known.outcome
  const stamps = new Map<string, string>()
  const watch = (path: string): void => {
    if (!stamps.has(path)) stamps.set(path, stampOf(path))
  }
  const outcome = make(file, root, options, watch).then((net) => ({ net }), (error: unknown) => ({ error })).then((made) => ({
    ...made,
    watched: [...stamps.keys()],
  }))
  kept.delete(key)
  kept.set(key, { stamps, outcome })
  for (const [oldest] of kept) if (kept.size > MOST_KEPT) kept.delete(oldest)
  return outcome
}

/** A hash of the content of a file; `none` where there is no file. */
function stampOf(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  } catch {
    return 'none'
  }
}

async function make(file: string, root: string, options: NetFileOptions, watch: (path: string) => void): Promise<NetFile> {
  const { weights: named, partial: _, inline: __, ...choices } = options
  watch(file)
  const place = await findWeights(file, named)
  for (const path of place.watched) watch(path)
  const main: Source = { file: nameOf(file, root), text: readFileSync(file, 'utf8') }
  const readImport = (path: string, from: Source): Source | undefined => {
    const found = join(dirname(resolve(root, from.file)), path)
    // What is missing may come.
    watch(found)
    return readSource(found, root)
  }
  const found = await readWeights(place)
  const warnings = check(main, { readImport, ...(choices.style && { style: choices.style }) })
  const made = compile(main, { ...choices, readImport, allowOneValue: found !== undefined })
  const fitted = found && fitWeights(made.manifest.parameters, found.tensors)
  const { inputs: declared, parameters } = made.manifest
  const inputs = found && fitted
    ? withNamesOfWeights(declared, parameters, { from: place.path!, inputs: found.inputs, taken: new Set(fitted.kept.keys()) }) : declared
  const bundle: Bundle = withoutFacts({
    ...made,
    manifest: { ...made.manifest, inputs },
    ...(fitted && fitted.kept.size > 0 && { weights: fitted.kept }),
  })
  const files = await bundleFiles(bundle)
  const { sha256 } = JSON.parse(new TextDecoder().decode(files.get(MANIFEST_FILE))) as { sha256: string }
  return {
    file,
    bundle,
    files,
    hash: sha256.slice(0, 8),
    warnings,
    ...(fitted && { fitted }),
    ...(place.path !== undefined && { weightsPath: place.path }),
    weightsStamp: place.watched.map((path) => stampOf(path).slice(0, 16)).join(' '),
  }
}

/** The name of a file in messages and in the bundle: relative to the root, without anything of the machine. */
export const nameOf = (file: string, root: string): string => relative(root, file).split(sep).join('/') || basename(file)

function readSource(file: string, root: string): Source | undefined {
  try {
    return { file: nameOf(file, root), text: readFileSync(file, 'utf8') }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(code ?? '')) return undefined
    throw new InputError(`${file} cannot be read: ${message}`)
  }
}
