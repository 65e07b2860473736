/** What bundlers make of a page that infers. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { kilobytes, LINE } from './project.mjs'

export const PAGES = {
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
    const MinimizerPlugin = createRequire(import.meta.resolve('webpack'))('minimizer-webpack-plugin')
    page(project)
    const stats = await new Promise((done, failed) => {
      webpack({
        context: project,
        mode: 'production',
        entry: './page.js',
        output: { path: join(project, 'webpack') },
        // Terser reads it all, as in everybody's build; that it is made shorter, too, takes ten seconds, and says nothing of us.
        optimization: { minimizer: [new MinimizerPlugin({ parallel: false, terserOptions: { compress: false, mangle: false } })] },
        cache: false,
        performance: false,
      }, (error, stats) => (error ? failed(error) : done(stats)))
    })
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString('errors-warnings'))
    bundled(join(project, 'webpack'))
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
