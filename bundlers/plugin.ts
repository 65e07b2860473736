import { existsSync } from 'node:fs'
import { basename, posix } from 'node:path'
import { writeDeclarations } from './declarations.ts'
import type { Hooks } from './hooks.ts'
import { fetchedModule, filesModule, heldModule, hotModule } from './module-code.ts'
import { compileNet, nameOf, type NetFile } from './net-file.ts'
import { asksOwn, filesQuery, type FusenetOptions, type NetFileOptions, optionsOf, splitId, wantsFiles } from './options.ts'
import { misfit, notesOf, problemOf } from './problem.ts'

/** The place where a page finds a bundle. */
export interface Placing {
  readonly root: string
  readonly assetsDir: string
  /** The beginning of addresses in a build. */
  readonly base: string
  /** Development: puts the files where they are served from and gives the address of their folder. */
  serve?(net: NetFile): string
  /** Development: hears of a file that is not there, should it come. */
  watch?(file: string): void
}

/** The shared part of the plugins of all bundlers: makes a net's module from its file. */
export class NetPlugin {
  readonly options: FusenetOptions
  placing: Placing = { root: process.cwd(), assetsDir: 'assets', base: '/' }
  /** Whether declarations are written. */
  types: boolean
  /** The nets that are made of a file, by its path. */
  readonly #users = new Map<string, Set<string>>()
  readonly #told = new Map<string, string>()

  constructor(options: FusenetOptions) {
    this.options = options
    this.types = options.types ?? false
  }

  /** Nets that are made of a file, itself included. */
  usersOf(file: string): readonly string[] {
    return [...this.#users.get(file) ?? []]
  }

  async load(hooks: Hooks, id: string): Promise<{ code: string; map: { mappings: '' }; moduleSideEffects: false; moduleType: 'js' }> {
    const { file, query } = splitId(id)
    const { root, serve, watch } = this.placing
    const options = this.#optionsOf(hooks, file, query)
    const outcome = await compileNet(file, root, options)
    for (const path of outcome.watched) {
      // Vite takes what is added so for an import, which must be there; what is not may come all the same.
      if (path !== file && serve && !existsSync(path)) watch?.(path)
      else if (path !== file) hooks.addWatchFile(path)
      const users = this.#users.get(path) ?? this.#users.set(path, new Set()).get(path)!
      users.add(file)
    }
    if ('error' in outcome) return hooks.error(problemOf(outcome.error, file, root))
    const { net } = outcome
    const name = nameOf(file, root)
    const wrong = serve || options.partial ? undefined : misfit(net, name)
    if (wrong !== undefined) hooks.error({ message: wrong, id: file })
    if (!wantsFiles(query)) this.#tell(hooks, net, name)
    if (this.types && !asksOwn(query)) await writeDeclarations(net)
    return { code: this.#code(hooks, net, query, options), map: { mappings: '' }, moduleSideEffects: false, moduleType: 'js' }
  }

  #optionsOf(hooks: Hooks, file: string, query: URLSearchParams): NetFileOptions {
    try {
      return optionsOf(file, query, this.placing.root, this.options)
    } catch (error) {
      return hooks.error(problemOf(error, file, this.placing.root))
    }
  }

  #code(hooks: Hooks, net: NetFile, query: URLSearchParams, { inline }: NetFileOptions): string {
    if (wantsFiles(query)) return filesModule(net)
    const isServer = hooks.environment?.config.consumer === 'server'
    const { serve, base } = this.placing
    const files = `./${basename(net.file)}?${filesQuery(query)}`
    const folder = this.#folderOf(net)
    if (serve) {
      const url = JSON.stringify(serve(net))
      return isServer ? heldModule({ net, url, files }) : hotModule({ net, url })
    }
    // A server's build has no files of its own: the page's build emits the same ones, under the same names.
    if (isServer) return heldModule({ net, files, url: JSON.stringify(`${/^(\/|https?:)/.test(base) ? base : '/'}${folder}/`) })
    if (inline) return heldModule({ net, files, url: "''" })
    const references = [...net.files].map(([name, source]) =>
      [name, hooks.emitFile({ type: 'asset', fileName: posix.join(folder, name), source })] as const
    )
    const manifest = references.find(([name]) => name === 'bundle.json')![1]
    if (hooks.addressOf) return fetchedModule({ net, url: hooks.addressOf(folder) })
    return fetchedModule({ net, url: `import.meta.ROLLUP_FILE_URL_${manifest}.replace(/bundle\\.json(?=$|\\?)/, '')` })
  }

  /** The hash is that of everything in it, so a server may say that it never changes. */
  #folderOf(net: NetFile): string {
    return posix.join(this.options.assetsDir ?? this.placing.assetsDir, `${net.bundle.manifest.name}-${net.hash}`)
  }

  /** Once, and again where something else is to be said. */
  #tell(hooks: Hooks, net: NetFile, name: string): void {
    const notes = notesOf(net, name)
    const all = notes.join('\n')
    if (all !== (this.#told.get(net.file) ?? '')) { for (const note of notes) hooks.warn(note) }
    this.#told.set(net.file, all)
  }
}
