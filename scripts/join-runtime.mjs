/**
 * Joins modules of the runtime that are loaded together, in place of what tsc wrote: a hundred small files took Node as long as all else up to the
 * first result of a small net. Each module stays as a file that passes on its names, so it is found where it was, and there is one of each class.
 *
 * Of modules a bundler leaves out what a page does not use, of a joined file far less. So only that is joined which whoever opens a net takes
 * whole: what `open` needs, the CPU, what Node needs besides. Data, snapshots and the like stay modules; what is loaded on demand is left alone.
 *
 * Node loads the whole of `runtime/index.js` and bundles nothing: for it (the condition `node` in package.json) `index-node.js` has in it what of
 * that is not joined elsewhere. It is functions, and a class that nothing else imports.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { rolldown } from 'rolldown'
import { root } from './steps.mjs'

const IMPORTED = /^(?:import|export)\s(?!type\b)[^'"]*?from\s*['"](\.[^'"]+)['"]/gm

/** A module and all that it imports at once. */
function closure(file, found = new Set()) {
  if (found.has(file)) return found
  found.add(file)
  for (const [, name] of readFileSync(file, 'utf8').matchAll(IMPORTED)) closure(resolve(dirname(file), name), found)
  return found
}

const [index, node, open, wasm, onDemand] = ['index', 'node', 'open', 'wasm/device', 'node-on-demand'].map((name) =>
  closure(join(root, 'runtime', `${name}.ts`))
)
const nameOf = (file) => relative(root, file).replaceAll(sep, '/').replace(/\.ts$/, '')
const isGround = (file) => nameOf(file).startsWith('bundle/')
/** The joined files by their names in dist/. A module that several want goes to the first of them. */
const JOINED = {
  // What the compiler takes, too.
  'bundle/joined': new Set([...open].filter(isGround)),
  'runtime/joined': open,
  'runtime/wasm/joined': wasm,
  'runtime/node-joined': new Set([...node].filter((file) => !index.has(file))),
  // What `node.ts` asks for when it is wanted.
  'runtime/node-on-demand-joined': new Set([...onDemand].filter((file) => !index.has(file))),
}
const modules = new Set([...index, ...node, ...wasm, ...onDemand])

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries([...modules].map((file) => [nameOf(file), file])),
  platform: 'neutral',
  onLog: (_, { code, message }) => {
    if (/UNRESOLVED|MISSING|CIRCULAR/.test(code)) throw new Error(message)
  },
  plugins: [{
    name: 'on-demand',
    resolveId(name, from) {
      if (name.startsWith('node:')) return { id: name, external: true }
      if (from === undefined || modules.has(resolve(dirname(from), name))) return undefined
      const file = relative(join(root, 'runtime'), resolve(dirname(from), name)).replaceAll(sep, '/').replace(/\.ts$/, '.js')
      const depth = open.has(from) ? 0 : nameOf(from).split('/').length - 2
      return { id: depth === 0 ? `./${file}` : `${'../'.repeat(depth)}${file}`, external: true }
    },
  }],
})
const { output } = await bundle.generate({
  format: 'es',
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: Object.entries(JOINED).map(([name, files], i, all) => ({
      name,
      priority: all.length - i,
      test: (file) => files.has(resolve(file)),
    })),
  },
  chunkFileNames: '[name].js',
  // Who reads on has the modules' own; an engine reads all that stands here before it runs any of it.
  comments: { jsdoc: false },
})
for (const { fileName, code, imports, dynamicImports } of output) {
  const file = join(root, 'dist', fileName)
  const name = fileName.replace(/\.js$/, '')
  if (!Object.hasOwn(JOINED, name) && !modules.has(join(root, `${name}.ts`))) throw new Error(`${fileName} is none of the files to be`)
  writeFileSync(file, code)
  const asked = [...imports, ...dynamicImports].map((
    other,
  ) => (/^\.\.?\//.test(other) ? resolve(dirname(file), other) : join(root, 'dist', other)))
  const lost = asked.find((other) =>
    !/node:/.test(other) && !output.some((o) => join(root, 'dist', o.fileName) === other) && !existsSync(other)
  )
  if (lost !== undefined) throw new Error(`${fileName} imports ${lost}, which is not there`)
}

const joined = new Set(Object.keys(JOINED).map((name) => join(root, 'dist', `${name}.js`)))
const whole = await rolldown({
  input: join(root, 'dist', 'runtime', 'index.js'),
  platform: 'neutral',
  plugins: [{
    name: 'what-is-joined',
    resolveId: (
      name,
      from,
    ) => (from !== undefined && joined.has(resolve(dirname(from), name)) ? { id: resolve(dirname(from), name), external: true }
      : undefined),
    resolveDynamicImport: (name) => ({ id: name, external: true }),
  }],
})
await whole.write({ file: join(root, 'dist', 'runtime', 'index-node.js'), format: 'es' })
