import { NetPlugin } from './plugin.ts'
import { checkPlugin, type FusenetOptions, isNet } from './options.ts'
import type { Hooks } from './hooks.ts'

export type { FusenetOptions, NetFileOptions } from './options.ts'

/**
 * `import digits from './digits.net'` in a build by Rollup or Rolldown: the net is compiled, its bundle emitted as files, and
 * `await digits.open()` opens it, in a page and in Node. Throws InputError for options that there are not.
 */
export default function fusenet(options?: FusenetOptions): RollupPlugin {
  const plugin = new NetPlugin(checkPlugin(options))
  return {
    name: 'fusenet',
    async resolveId(source, importer) {
      // Rollup looks for a file of the whole name, with what stands behind `?`.
      if (!isNet(source) || !source.includes('?') || importer === undefined) return null
      const [file, query] = [source.slice(0, source.indexOf('?')), source.slice(source.indexOf('?'))]
      const found = await this.resolve!(file, importer, { skipSelf: true })
      return found && !found.external ? `${found.id}${query}` : null
    },
    async load(id) {
      if (!isNet(id)) return null
      return plugin.load(this, id)
    },
  }
}

/** The part of a plugin that Rollup and Rolldown of any version see. */
export interface RollupPlugin {
  readonly name: 'fusenet'
  resolveId(this: Hooks, source: string, importer: string | undefined): Promise<string | null>
  load(this: Hooks, id: string): Promise<Loaded | null>
}

interface Loaded {
  readonly code: string
  readonly map: { readonly mappings: '' }
  readonly moduleSideEffects: false
  readonly moduleType: 'js'
}
