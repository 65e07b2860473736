/**
 * Makes the script of the runtime's worker one file that needs no other, in place of what tsc wrote: bundlers and servers then have one file to carry, whatever they do
 * with modules in workers. The same as a text is for bundlers that leave the file behind; it is loaded when that has happened.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { build } from 'esbuild'
import { root } from './steps.mjs'

const { outputFiles: [script] } = await build({
  entryPoints: [join(root, 'runtime/worker.ts')],
  bundle: true,
  minify: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2023',
  legalComments: 'none',
  write: false,
  logLevel: 'warning',
  // What starts workers of this kind is of no use in one, nor is the text of itself.
  plugins: [{
    name: 'not-in-a-worker',
    setup: ({ onResolve, onLoad }) => {
      onResolve({ filter: /\/open-remote\.ts$/ }, () => ({ path: 'none', namespace: 'none' }))
      onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: 'export {}' }))
    },
  }],
})
// It is a module by its name and runs as either: who looks at packages wants to see that it is one.
writeFileSync(join(root, 'dist/runtime/worker.js'), `${script.text.trimEnd()}\nexport {}\n`)
// The package has the script twice: the text is half as long deflated, and whoever needs it unpacks it.
const deflated = deflateRawSync(script.text, { level: 9 }).toString('base64')
writeFileSync(
  join(root, 'dist/runtime/remote/worker-text.js'),
  `const deflated = '${deflated}'
export async function textOfWorker() {
  const bytes = Uint8Array.from(atob(deflated), (letter) => letter.charCodeAt(0))
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).text()
}
`,
)
