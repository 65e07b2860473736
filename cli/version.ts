import { createRequire } from 'node:module'

/** From fusenet's package.json, beside the sources as beside the built command. */
export const VERSION: string = (() => {
  const require = createRequire(import.meta.url)
  for (const path of ['../package.json', '../../package.json', '../../../package.json']) {
    try {
      const found = require(path) as { name?: string; version?: string }
      if (found.name === 'fusenet' && found.version) return found.version
    } catch {
      // Not beside this one.
    }
  }
  return 'unknown'
})()
