import type { Hooks } from './hooks.ts'
import { checkPlugin, type FusenetOptions } from './options.ts'
import { NetPlugin } from './plugin.ts'
import type { Problem } from './problem.ts'

export type { FusenetOptions, NetFileOptions } from './options.ts'

/** The part of a loader's `this` that is used here, the same in webpack and Rspack. */
interface Loader {
  readonly resourcePath: string
  readonly resourceQuery: string
  readonly rootContext: string
  readonly target: string
  readonly mode?: string
  getOptions(): FusenetOptions
  async(): (error: Error | null, code?: string) => void
  addDependency(file: string): void
  emitFile(name: string, data: Uint8Array | string): void
  emitWarning(warning: Error): void
}

/**
 * `import digits from './digits.net'` by a rule of webpack or Rspack: `{ test: /\.net$/, loader: 'fusenet/webpack', options }`. The bundle is emitted
 * as files below the public path; for `target: 'node'` it is a part of the code.
 */
export default function fusenet(this: Loader): void {
  const done = this.async()
  load(this).then((code) => done(null, code), (error: unknown) => done(error as Error))
}

async function load(loader: Loader): Promise<string> {
  const { assetsDir = 'assets', ...options } = checkPlugin(loader.getOptions())
  const plugin = new NetPlugin({ ...options, assetsDir })
  plugin.placing = { root: loader.rootContext, assetsDir, base: '/' }
  const isServer = /node|electron-main/.test(loader.target)
  const hooks: Hooks = {
    addWatchFile: (file) => loader.addDependency(file),
    emitFile({ fileName, source }) {
      // webpack knows buffers, and writes other bytes as it finds them named.
      loader.emitFile(fileName, typeof source === 'string' ? source : Buffer.from(source))
      return fileName
    },
    addressOf: (folder) => `__webpack_public_path__ + ${JSON.stringify(`${folder}/`)}`,
    warn: (text) => loader.emitWarning(Object.assign(new Error(text), { name: 'fusenet' })),
    error: (problem) => {
      throw shown(problem)
    },
    environment: { config: { consumer: isServer ? 'server' : 'client' } },
  }
  return (await plugin.load(hooks, `${loader.resourcePath}${loader.resourceQuery}`)).code
}

/** A message alone is shown: so it has the place and the drawing. */
function shown({ message, loc, frame, stack }: Problem): Error {
  const error = new Error(`${loc ? `${loc.file}:${loc.line}:${loc.column}: ` : ''}${message}${frame ? `\n\n${frame}` : ''}`)
  // The way through fusenet's own code is worth having for its own faults alone.
  error.stack = stack ?? error.message
  return error
}
