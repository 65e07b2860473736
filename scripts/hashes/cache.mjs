import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../steps.mjs'

/** Where hashes are kept: any folder, shared by several clones too. */
const cacheFolder = process.env['FUSENET_HASH_CACHE'] ?? join(root, 'node_modules/.cache/fusenet/hashes')

/**
 * Hashes of bundles that a compiler made, kept from run to run. A compiler is told by its code and compiling is a pure function of text and options, so
 * nothing kept is ever out of date, whatever the working tree does. Only numbers that another Node prints otherwise could differ: each has its own file.
 */
export function keptHashes(compilerId) {
  mkdirSync(cacheFolder, { recursive: true })
  const file = join(cacheFolder, `${compilerId}-node${process.versions.node.split('.')[0]}.jsonl`)
  const kept = new Map()
  for (const line of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    try {
      const { key, hashes } = JSON.parse(line)
      kept.set(key, hashes)
    } catch {
      // The last line of a run that was ended.
    }
  }
  return {
    get: (key) => kept.get(key),
    set(key, hashes) {
      kept.set(key, hashes)
      appendFileSync(file, `${JSON.stringify({ key, hashes })}\n`)
    },
  }
}
