import { dirname } from 'node:path'
import { readFileSync } from 'node:fs'
import type { Hooks } from './hooks.ts'
import { checkPlugin, type FusenetOptions, isNet } from './options.ts'
import { NetPlugin } from './plugin.ts'
import type { Problem } from './problem.ts'

export type { FusenetOptions, NetFileOptions } from './options.ts'

interface Message {
  readonly text: string
  readonly location?: { readonly file: string; readonly line: number; readonly column: number; readonly lineText: string }
}

/** The part of esbuild's interface for plugins that is used here. */
interface Build {
  readonly initialOptions: { readonly absWorkingDir?: string }
  resolve(
    path: string,
    options: { importer: string; resolveDir: string; kind: any },
  ): Promise<{ readonly path: string; readonly errors: unknown[] }>
  onResolve(
    options: { filter: RegExp },
    resolve: (args: { path: string; importer: string; resolveDir: string; kind: string }) => Promise<object | undefined>,
  ): void
  onLoad(options: { filter: RegExp }, load: (args: { path: string; suffix: string }) => Promise<object | undefined>): void
}

export interface EsbuildPlugin {
  readonly name: string
  setup(build: Build): void
}

/** Stops a load; what is wrong was kept. */
class Stop extends Error {}

/**
 * `import digits from './digits.net'` in esbuild. The bundle is a part of the code, loaded when it is opened where `splitting` is on: esbuild has no
 * files of plugins. Throws InputError for options that there are not.
 */
export default function fusenet(options?: FusenetOptions): EsbuildPlugin {
  const plugin = new NetPlugin({ ...checkPlugin(options), inline: true })
  return {
    name: 'fusenet',
    setup(build) {
      const root = build.initialOptions.absWorkingDir ?? process.cwd()
      plugin.placing = { root, assetsDir: '', base: '/' }
      build.onResolve({ filter: /\.net\?/ }, async ({ path, importer, resolveDir, kind }) => {
        if (!isNet(path)) return undefined
        const at = path.indexOf('?')
        const found = await build.resolve(path.slice(0, at), { importer, resolveDir, kind })
        return found.errors.length > 0 ? { errors: found.errors } : { path: found.path, suffix: path.slice(at) }
      })
      build.onLoad({ filter: /\.net$/ }, async ({ path, suffix }) => {
        const watchFiles = [path]
        const warnings: Message[] = []
        let problem: Problem | undefined
        const hooks: Hooks = {
          addWatchFile: (file) => {
            watchFiles.push(file)
          },
          emitFile: ({ fileName }) => fileName,
          warn: (text) => {
            warnings.push({ text })
          },
          error: (what) => {
            problem = what
            throw new Stop()
          },
        }
        try {
          const { code } = await plugin.load(hooks, `${path}${suffix}`)
          return { contents: code, loader: 'js', resolveDir: dirname(path), watchFiles, warnings }
        } catch (error) {
          if (!(error instanceof Stop)) throw error
          return { errors: [messageOf(problem!)], watchFiles, warnings }
        }
      })
    },
  }
}

/** esbuild draws the line itself, and counts columns from 0 on, in bytes. */
function messageOf({ message, loc }: Problem): Message {
  if (!loc) return { text: message }
  const lineText = readFileSync(loc.file, 'utf8').split(/\r?\n/)[loc.line - 1] ?? ''
  return {
    text: message,
    location: { file: loc.file, line: loc.line, column: Buffer.byteLength(lineText.slice(0, loc.column - 1)), lineText },
  }
}
