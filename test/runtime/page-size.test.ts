import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

/* What install.md and faq.md say that a page takes of the runtime, packed: measured as a bundler makes it. */

const root = join(import.meta.dirname, '../..')

test('a page takes as much of the runtime as the pages say', async () => {
  const { outputFiles, metafile } = await build({
    // Names of outputs go by it, and a file that ran before may have had another working folder when the packer was loaded.
    absWorkingDir: root,
    stdin: {
      contents: 'import { open } from "./runtime/index.ts"\nexport const net = await open("/mnist/", { batch: 1, programs: ["infer"] })',
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    outdir: 'out',
    metafile: true,
    logLevel: 'silent',
  })
  const { outputs } = metafile
  /** What is fetched with a module, and what it may ask for later. */
  const withImports = (name: string, found = new Set<string>()): Set<string> => {
    if (found.has(name)) return found
    found.add(name)
    for (const { path, kind } of outputs[name]!.imports) if (kind === 'import-statement' && outputs[path]) withImports(path, found)
    return found
  }
  const kilobytes = (names: Iterable<string>): number =>
    Math.round(
      [...names].reduce((sum, name) =>
        sum + gzipSync(
          outputFiles.find(({ path }) => path.replaceAll('\\', '/').endsWith(name))!.contents,
          { level: 9 },
        ).length, 0) / 1000,
    )
  const onGpu = withImports(Object.keys(outputs).find((name) => outputs[name]!.entryPoint === '<stdin>')!)
  const onCpu = new Set([
    ...onGpu,
    ...withImports(Object.keys(outputs).find((name) => outputs[name]!.entryPoint === 'runtime/wasm/device.ts')!),
  ])

  const said = { gpu: kilobytes(onGpu), cpu: kilobytes(onCpu) }
  for (const page of ['docs/install.md', 'docs/faq.md']) {
    const [, gpu, cpu] = /(\d+) KB packed by gzip on WebGPU, (\d+) KB on the CPU/.exec(readFileSync(join(root, page), 'utf8')) ?? []
    // Packers differ by a little, and a change of a few bytes shall not need a change of the pages.
    expect(Math.abs(said.gpu - Number(gpu)), `${page}: ${JSON.stringify(said)}`).toBeLessThanOrEqual(1)
    expect(Math.abs(said.cpu - Number(cpu)), `${page}: ${JSON.stringify(said)}`).toBeLessThanOrEqual(1)
  }
})
