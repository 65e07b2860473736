/**
 * node test/device/pack.mjs [FOLDER]: packs what a machine without network needs to test and to measure fusenet on its graphics hardware:
 * Node, Dawn, the build, samples, benchmarks, and tests as files that need nothing else. See README.md.
 */
import { build } from 'esbuild'
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { softwareAdapter } from '../../scripts/software-adapter.mjs'
import { readArguments } from '../bench/arguments.mjs'
import { TESTS } from './stages.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const HELP = `node test/device/pack.mjs [FOLDER]   writes run.sh and pack.tar.xz there (out/device-pack)
  --node FILE         the Node binary that is packed (default: the one that runs this)
  --libraries FOLDER  shared libraries that the driver wants and a bare machine lacks
  --level N           of xz, 0 to 9 (6)
README.md tells the rest.`
const { values: options, positionals: [given, ...more], refuse } = readArguments(import.meta.url, {
  usage: HELP,
  positionals: true,
  options: {
    node: { type: 'string', default: process.execPath },
    libraries: { type: 'string' },
    level: { type: 'string', default: '6' },
  },
})
if (more.length > 0) refuse(`one folder is wanted, not ${[given, ...more].join(' and ')}`)
const out = resolve(given ?? join(root, 'out/device-pack'))
const staged = join(out, 'pack')

if (!existsSync(join(root, 'dist'))) refuse('npm run build comes first')
if (!existsSync(options.node)) refuse(`--node ${options.node}: there is no such file`)
if (options.libraries && !existsSync(options.libraries)) refuse(`--libraries ${options.libraries}: there is no such folder`)
if (!/^[0-9]$/.test(options.level)) refuse(`--level ${options.level}: a number from 0 to 9 is wanted`)
mkdirSync(out, { recursive: true })
// Nothing of anybody else's is touched, whatever folder is named.
for (const path of ['pack', 'pack.tar', 'pack.tar.xz', 'run.sh']) rmSync(join(out, path), { recursive: true, force: true })
mkdirSync(staged)

const copy = (from, to = from) => cpSync(join(root, from), join(staged, to), { recursive: true, dereference: true })
const isSource = (path) => !/node_modules|\.d\.ts$|\.map$|\.tsbuildinfo$/.test(path)
for (const folder of ['dist', 'test/bench', 'test/device'])
  cpSync(join(root, folder), join(staged, folder), { recursive: true, filter: (from) => isSource(relative(root, from)) })
for (const path of ['samples', 'package.json', 'test/golden/cases']) copy(path)
for (const path of ['index.js', 'package.json', 'LICENSE.md', 'dist/linux-x64']) copy(`node_modules/webgpu/${path}`)
await bundleTests()
mkdirSync(join(staged, 'node'))
cpSync(options.node, join(staged, 'node/node'), { dereference: true })
strip(join(staged, 'node/node'))
// A Vulkan loader, and the driver that runs on the CPU: for rehearsals, and for machines that have a driver and no loader.
const { libraryDir } = await softwareAdapter()
for (const file of ['libvulkan.so.1', 'libvk_swiftshader.so', 'vk_swiftshader_icd.json'])
  cpSync(join(libraryDir, file), join(staged, 'vulkan', file))
if (options.libraries) cpSync(resolve(options.libraries), join(staged, 'libraries'), { recursive: true, dereference: true })

// The whole in one file that plain tar, or Python, unpacks.
execFileSync('tar', ['-C', staged, '-cf', join(out, 'pack.tar'), '.'])
execFileSync('xz', [`-${options.level}`, '-T0', join(out, 'pack.tar')])
rmSync(staged, { recursive: true })
cpSync(join(root, 'test/device/run.sh'), join(out, 'run.sh'))
chmodSync(join(out, 'run.sh'), 0o755)
const bytes = statSync(join(out, 'pack.tar.xz')).size
process.stdout.write(`${relative(process.cwd(), out)}: run.sh, pack.tar.xz (${(bytes / 2 ** 20).toFixed(1)} MiB)\n`)

/** Symbols for debuggers are a quarter of Node. */
function strip(file) {
  try {
    execFileSync('strip', [file], { stdio: 'ignore' })
  } catch {
    // Without binutils it stays as it is.
  }
}

/** Each test file as one module, what they share beside them; vitest and the adapter are those of tests/. */
async function bundleTests() {
  const own = join(root, 'test/device/tests')
  const stand = (filter, path) => ({
    name: path,
    setup: ({ onResolve }) =>
      onResolve({ filter }, ({ importer }) => (importer === join(own, path) ? undefined : { path: join(own, path) })),
  })
  await build({
    absWorkingDir: root,
    entryPoints: [...TESTS.map((file) => file.replace(/^/, 'test/')), 'test/device/tests/main.ts'],
    outdir: join(staged, 'tests'),
    outbase: 'test',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    external: ['webgpu'],
    // chai and others ask for Node's own modules as CommonJS does.
    banner: { js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);" },
    plugins: [
      stand(/^vitest$/, 'shim.ts'),
      stand(/software-adapter\.mjs$/, 'adapter.ts'),
      {
        // A bundled file lies elsewhere than its source: what it reads beside it is found from the folder that run.sh names.
        name: 'source folders',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const contents = readFileSync(path, 'utf8')
            if (!contents.includes('import.meta.dirname')) return undefined
            const folder = JSON.stringify(`/${relative(root, dirname(path))}`)
            return { contents: contents.replaceAll('import.meta.dirname', `(process.env['FUSENET_PACK'] + ${folder})`), loader: 'ts' }
          }),
      },
    ],
  })
  writeFileSync(join(staged, 'tests/package.json'), '{ "type": "module" }\n')
}
