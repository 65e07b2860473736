import { createHash } from 'node:crypto'

/** In the place of a file's hash where a bundle has another that differs in this alone. */
export const MANIFEST = 'manifest.json'

/** Hashes of every file of a bundle by their names. Those of the manifest are two: of what it says, and of its text, in which the order of keys counts. */
export function hashesOf({ manifest, files }) {
  const hashes = { [MANIFEST]: hashOf(JSON.stringify(sorted(manifest))), [KEY_ORDER]: hashOf(JSON.stringify(manifest)) }
  for (const name of [...files.keys()].sort()) hashes[name] = hashOf(files.get(name))
  return hashes
}

/** The manifest's text as it is written. */
export const KEY_ORDER = `${MANIFEST} as text`

/** What compiling a text leaves: hashes of files, or of the reason why there are none. */
export function hashesOrError(compile, text, options) {
  try {
    return hashesOf(compile(text, options))
  } catch (error) {
    // What a net is refused for is part of what must stay the same.
    return { refused: hashOf(error.message), reason: error.message.split('\n')[0] }
  }
}

export const hashOf = (data) => createHash('sha256').update(data).digest('hex').slice(0, 16)

/** The same value with the keys of every object in order. */
export function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
}
