import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** fusenet's own package.json: above the sources as above the built command. */
function find(): { root: string; version: string } | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string; version?: string }
      if (name === 'fusenet' && version !== undefined) return { root: folder, version }
    } catch {
      // Not in this folder.
    }
    if (dirname(folder) === folder) return undefined
    folder = dirname(folder)
  }
}

const found = find()
export const VERSION = found?.version ?? 'unknown'
/** Scripts and samples lie below it. */
export const PACKAGE_ROOT = found?.root ?? '.'
