import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Hooks } from './hooks.ts'
import { MadeInMemory } from './made-in-memory.ts'
import { checkPlugin, type FusenetOptions, isNet } from './options.ts'
import { NetPlugin } from './plugin.ts'
import type { RollupPlugin } from './rollup.ts'

export type { FusenetOptions, NetFileOptions } from './options.ts'

/** The part of Vite's configuration, server and modules that is used here, from Vite 6 on. */
interface Config {
  readonly root: string
  readonly base: string
  readonly command: 'serve' | 'build'
  readonly build: { readonly assetsDir: string }
  readonly server: { readonly origin?: string }
  readonly isPreview?: boolean
}

interface Server {
  readonly middlewares: { use(handle: MadeInMemory['handle']): unknown }
  readonly watcher: { add(file: string): unknown }
}

interface Module {
  readonly id: string | null
}

interface HotUpdate<M extends Module> {
  readonly file: string
  readonly modules: M[]
}

interface HotHooks<M extends Module> {
  readonly environment: { readonly moduleGraph: { getModulesByFile(file: string): Set<M> | undefined } }
}

export interface VitePlugin extends Omit<RollupPlugin, 'resolveId'> {
  readonly enforce: 'pre'
  config(): object
  configResolved(config: Config): void
  configureServer(server: Server): void
  hotUpdate<M extends Module>(this: HotHooks<M>, update: HotUpdate<M>): M[] | undefined
}

/**
 * `import digits from './digits.net'` in Vite (6, 7, 8): compiled when it is imported, its bundle served from memory in development and
 * emitted as files by a build; `await digits.open()` opens it. In development nets that are open follow their text. Throws InputError
 * for options that there are not.
 */
export default function fusenet(options?: FusenetOptions): VitePlugin {
  const checked = checkPlugin(options)
  return make(checked, new NetPlugin(checked), new MadeInMemory())
}

/** `plugin`: one for the page and its workers, so that what there is to say of a net is said once. */
function make(options: FusenetOptions, plugin: NetPlugin, memory: MadeInMemory): VitePlugin {
  return {
    name: 'fusenet',
    enforce: 'pre',
    config() {
      return {
        // Modules of workers are built by themselves, by plugins of their own.
        worker: { plugins: () => [make(options, plugin, memory)] },
        // It is made of small modules, and workers that it starts are found beside them; nothing of it needs to be changed for a browser.
        optimizeDeps: { exclude: ['fusenet'] },
        // On a server the nets' modules import it with its types of Vite alone.
        ssr: { noExternal: [/^fusenet\/vite/] },
      }
    },
    configResolved({ root, base, command, build, server, isPreview }) {
      plugin.types = options.types ?? existsSync(join(root, 'tsconfig.json'))
      const address = `${server.origin ?? ''}${base}`
      plugin.placing = {
        root,
        base,
        assetsDir: build.assetsDir,
        ...(command === 'serve' && !isPreview && { serve: (net) => memory.keep(net, address) }),
      }
    },
    configureServer({ middlewares, watcher }) {
      middlewares.use(memory.handle)
      plugin.placing = {
        ...plugin.placing,
        watch: (file) => {
          watcher.add(file)
        },
      }
    },
    async load(this: Hooks, id) {
      return isNet(id) ? plugin.load(this, id) : null
    },
    /** Imports and weights of a net are it, too. */
    hotUpdate({ file, modules }) {
      const nets = plugin.usersOf(file).flatMap((net) => [...this.environment.moduleGraph.getModulesByFile(net) ?? []]).filter(({ id }) =>
        id !== null && isNet(id)
      )
      // What has no name of its own stands for a file that was read, and leads to the net's module: unless that failed.
      return nets.length === 0 ? undefined : [...new Set([...modules.filter(({ id }) => id !== null), ...nets])]
    },
  }
}
