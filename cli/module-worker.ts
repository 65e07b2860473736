import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'esbuild'

/**
 * The expression by which the runtime names the script of a worker. The script is a file beside the runtime; a single module has no such
 * file.
 */
const SCRIPT = /new URL\((['"])\.\.\/worker\.js\1, import\.meta\.url\)/g
const START = /[\\/]remote[\\/]start\.[jt]s$/
const TEXT = /[\\/]remote[\\/]worker-text\.[jt]s$/

/**
 * Puts the script of a worker into a module as a text, or leaves it out: `open(..., { worker: true })` then says so. `script`: the file that
 * it is built from.
 */
export function inlineWorker(script: string | undefined): Plugin {
  return {
    name: 'inline-worker',
    setup({ onLoad, onResolve, esbuild }) {
      onLoad({ filter: START }, async ({ path }) => {
        const code = await readFile(path, 'utf8')
        if (!SCRIPT.test(code)) throw new Error(`${path} does not name the worker's script as it is expected to`)
        return {
          contents: `import { script } from 'inline:worker'\n${code.replace(SCRIPT, 'script()')}`,
          loader: path.endsWith('.ts') ? 'ts' : 'js',
        }
      })
      // The same for who lost the file: here it is not lost.
      onLoad({ filter: TEXT }, () => ({ contents: "export const textOfWorker = () => ''" }))
      onResolve({ filter: /^inline:worker$/ }, () => ({ path: 'worker', namespace: 'inline' }))
      onLoad({ filter: /.*/, namespace: 'inline' }, async () => {
        if (script === undefined)
          return {
            contents:
              "export const script = () => { throw new Error('this module was written without a worker (fusenet compile --no-worker)') }",
          }
        const { outputFiles } = await esbuild.build({
          entryPoints: [script],
          bundle: true,
          minify: true,
          format: 'iife',
          platform: 'browser',
          target: 'es2023',
          legalComments: 'none',
          write: false,
          logLevel: 'silent',
          plugins: [{
            name: 'no-worker-in-a-worker',
            setup: (inner) => {
              inner.onLoad({ filter: /[\\/]open-remote\.[jt]s$/ }, () => ({ contents: 'export {}' }))
            },
          }],
        })
        return {
          contents: `const text = ${JSON.stringify(outputFiles[0]!.text)}
            let url
            export const script = () => url ??= globalThis.process?.getBuiltinModule ? new URL('data:text/javascript,' + encodeURIComponent(text)) : URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))`,
        }
      })
    },
  }
}

/** The source of the worker's script, or what the package has of it. */
export const workerScript = (extension: string): string => fileURLToPath(new URL(`../runtime/worker${extension}`, import.meta.url))
