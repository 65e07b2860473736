/**
 * Joins the runtime for Node, which loads it module by module otherwise: a hundred small files take a tenth of a second, as long as all else up to
 * the first result of a small net. Bundlers of pages go on taking `dist/runtime/`, module by module, and leave out what is not used.
 *
 * Modules whose classes are asked for by `instanceof` stay where they are: the compiler throws the same.
 */
import { rmSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { build } from 'esbuild'
import { root } from './steps.mjs'

const dist = join(root, 'dist')
const outdir = join(dist, 'runtime', 'joined')
/** What is not joined: the classes that all rooms share, and a text that Node does not load. */
const LEFT = ['bundle/errors.js', 'bundle/device.js', 'runtime/remote/worker-text.js']

// Names of what is shared have a hash of the content: those of an earlier build would stay.
rmSync(outdir, { recursive: true, force: true })
await build({
  entryPoints: [join(dist, 'runtime', 'index.js'), join(dist, 'runtime', 'node.js')],
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  legalComments: 'inline',
  outdir,
  logLevel: 'warning',
  plugins: [{
    name: 'left-where-it-is',
    setup: ({ onResolve }) =>
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        const file = relative(dist, join(resolveDir, path)).replaceAll(sep, '/')
        return LEFT.includes(file) ? { path: relative(outdir, join(dist, file)).replaceAll(sep, '/'), external: true } : undefined
      }),
  }],
})
