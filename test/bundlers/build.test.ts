import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build as esbuild } from 'esbuild'
import { rollup } from 'rollup'
import { build, type InlineConfig } from 'vite'
import { afterAll, describe, expect, test } from 'vitest'
import fusenetEsbuild from '../../bundlers/esbuild.ts'
import fusenetRollup from '../../bundlers/rollup.ts'
import fusenetWebpack from '../../bundlers/webpack.ts'
import fusenet, { type FusenetOptions } from '../../bundlers/vite.ts'
import { open } from '../../runtime/open.ts'
import { writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { alias, BLOCKS, FILES, project, TINY, WEIGHTS } from './project.ts'

const page = project({
  ...FILES,
  'index.html': '<script type="module" src="/src/main.js"></script>',
  'src/main.js': `import tiny from './tiny.net'
globalThis.url = tiny.url
globalThis.open = tiny.open
globalThis.worker = new Worker(new URL('./asker.js', import.meta.url), { type: 'module' })
`,
  'src/asker.js': "import tiny from './tiny.net'\ntiny.open().then((net) => postMessage(net.classes))\n",
  'src/server.js': "export { default } from './tiny.net'\n",
  'src/inline.js': "export { default } from './tiny.net?inline'\n",
})
afterAll(page.remove)

const vite = (options?: FusenetOptions, config: InlineConfig = {}) =>
  build({
    root: page.root,
    configFile: false,
    logLevel: 'silent',
    resolve: { alias },
    ...config,
    plugins: [fusenet(options)],
    build: { minify: false, outDir: 'dist', ...config.build },
  })
const chunks = (): string[] => readdirSync(join(page.root, 'dist/assets')).filter((name) => name.endsWith('.js'))
const text = (start: string): string =>
  readFileSync(join(page.root, 'dist/assets', chunks().find((name) => name.startsWith(start))!), 'utf8')
const folders = (): string[] => readdirSync(join(page.root, 'dist/assets')).filter((name) => name.startsWith('tiny-'))

describe('a build by Vite', () => {
  test('emits the bundle under a name of its contents, and page and worker have its address', async () => {
    await vite(undefined, { base: '/app/' })
    const [folder, ...others] = folders()
    expect(others).toEqual([])
    expect(folder).toMatch(/^tiny-[0-9a-f]{8}$/)
    for (const chunk of ['index', 'asker']) expect(text(chunk)).toContain(`"/app/assets/${folder}/bundle.json"`)
    // A page asks for what it runs: nothing of the bundle is in its code.
    expect(text('index').includes('squared_loss')).toBe(false)
    const net = await open(pathToFileURL(join(page.root, 'dist/assets', folder!)), { batch: 1, device: 'wasm' })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
  })

  test('is found beside the code where the base is relative', async () => {
    await vite(undefined, { base: './' })
    expect(text('index')).toContain(`new URL("${folders()[0]}/bundle.json", import.meta.url)`)
    expect(text('asker')).toContain(`new URL("${folders()[0]}/bundle.json", self.location.href)`)
  })

  test('takes what is wanted from its options, those of a net, and an import', async () => {
    page.write(
      'src/main.js',
      "import a from './tiny.net'\nimport b from './tiny.net?programs=eval&targets=wasm'\nglobalThis.nets = [a, b]\n",
    )
    await vite({ targets: ['webgpu'], nets: { 'src/tiny.net': { programs: ['infer'] } }, assetsDir: 'nets' })
    const nets = readdirSync(join(page.root, 'dist/nets')).map((folder) =>
      JSON.parse(readFileSync(join(page.root, 'dist/nets', folder, 'bundle.json'), 'utf8'))
    )
    const held = nets.map(({ plans }) =>
      Object.entries<{ parts: { programs: string[] }[] }>(plans).map((
        [target, plan],
      ) => [target, plan.parts.flatMap(({ programs }) => programs)])
    )
    expect(held.sort()).toEqual([[['wasm', ['eval']]], [['webgpu', ['infer']]]])
  })

  test('writes what TypeScript is to know, for an import that says nothing of its own', async () => {
    page.write('src/main.js', "import a from './tiny.net?programs=infer'\nglobalThis.a = a\n")
    await vite({ types: true })
    const file = join(page.root, 'src/tiny.d.net.ts')
    expect(existsSync(file)).toBe(false)
    page.write('src/main.js', "import a from './tiny.net'\nglobalThis.a = a\n")
    await vite({ types: true })
    const text = readFileSync(file, 'utf8')
    rmSync(file)
    for (
      const part of [
        "import type { NetModule } from 'fusenet'",
        'export interface Tiny {',
        "readonly out: 'f32'",
        'declare const net: NetModule<Tiny>\nexport default net',
      ]
    ) expect(text).toContain(part)
  })

  test('of a server holds the files itself and knows the address that a page has', async () => {
    await vite(undefined, { base: '/app/', build: { ssr: 'src/server.js', outDir: 'server' } })
    const server = (await import(pathToFileURL(join(page.root, 'server/server.mjs')).href)).default
    expect(server.url).toMatch(/^\/app\/assets\/tiny-[0-9a-f]{8}\/$/)
    expect(existsSync(join(page.root, 'server', server.url.slice('/app/'.length)))).toBe(false)
    const net = await server.open({ batch: 1 })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
  })
})

describe('a build by Rollup', () => {
  const bundled = async (input: string): Promise<any> => {
    const made = await rollup({
      input: join(page.root, input),
      external: ['fusenet'],
      plugins: [fusenetRollup()],
      onwarn: (warning) => {
        throw new Error(warning.message)
      },
    })
    // The runtime is imported from where it lies.
    const { output } = await made.write({
      dir: join(page.root, 'rolled'),
      entryFileNames: '[name].mjs',
      chunkFileNames: '[name].mjs',
      paths: { fusenet: alias[0]!.replacement },
    })
    return {
      ...await import(/* @vite-ignore */ pathToFileURL(join(page.root, 'rolled', output[0].fileName)).href),
      files: output.map(({ fileName }) => fileName),
    }
  }

  test('opens the files beside it, in Node too', async () => {
    const { default: tiny, files } = await bundled('src/server.js')
    expect(files).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^assets\/tiny-[0-9a-f]{8}\/bundle\.json$/),
        expect.stringMatching(/weights\.safetensors$/),
      ]),
    )
    const net = await tiny.open({ batch: 1 })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
  })

  test('has all of it in the code where that is wanted', async () => {
    const { default: tiny, files } = await bundled('src/inline.js')
    expect(files.filter((name: string) => !name.endsWith('.mjs'))).toEqual([])
    expect(tiny.url).toBe('')
    const net = await tiny.open({ batch: 1 })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
  })
})

describe('a build is refused', () => {
  const failure = async (options?: FusenetOptions, main = "import net from './tiny.net'\nglobalThis.net = net\n"): Promise<any> => {
    page.write('src/main.js', main)
    return vite(options).then(() => {
      throw new Error('it was built')
    }, (error: any) => error.errors?.[0] ?? error)
  }

  test('where weights are of another net, unless that is meant', async () => {
    page.write(
      'other.safetensors',
      writeSafetensors(new Map([['head.layer.weight', WEIGHTS.get('head.layer.weight')!], ['old.bias', WEIGHTS.get('head.layer.bias')!]])),
    )
    const { message } = await failure({ weights: 'other.safetensors' })
    expect(message).toContain('missing: head.layer.bias [2]')
    expect(message).toContain('not of this net: old.bias')
    expect(message).toContain('partial: true')
    await vite({ weights: 'other.safetensors', partial: true })
  })

  test('where weights are not there', async () => {
    expect((await failure({ weights: 'out/tiny' })).message).toContain(`there are no weights ${join(page.root, 'out/tiny')}`)
  })

  test('where an import asks for what there is not', async () => {
    expect((await failure(undefined, "import net from './tiny.net?program=infer'\nglobalThis.net = net\n")).message).toContain(
      'an import of a net has no option program; did you mean programs?',
    )
    expect((await failure({ programs: ['inference'] })).message).toContain('there is no program "inference"')
  })

  test('at the place of the mistake, in the file that it is in', async () => {
    page.write('src/blocks.net', BLOCKS.replace('fc(n)', 'fcc(n)'))
    const error = await failure()
    page.write('src/blocks.net', BLOCKS)
    expect(error.message).toContain('there is no layer or block fcc')
    expect(error.loc).toEqual({ file: join(page.root, 'src/blocks.net'), line: 2, column: 15 })
    expect(error.frame).toContain('  2 |   return x -> fcc(n) as layer\n    |               ^^^')
  })

  test('options that there are not are told at once', () => {
    expect(() => fusenet({ program: ['infer'] } as FusenetOptions)).toThrow('fusenet has no option program; did you mean programs?')
    expect(() => fusenet({ nets: { 'a.net': { style: 'fast' as 'merged' } } })).toThrow(
      'nets["a.net"]: style "fast": \'merged\' or \'split\' is wanted',
    )
  })
})

describe('other bundlers', () => {
  test('esbuild has the bundle in its code, and draws mistakes at their place', async () => {
    const run = (file: string): Promise<any> => import(/* @vite-ignore */ pathToFileURL(join(page.root, file)).href)
    const make = (): Promise<unknown> =>
      esbuild({
        absWorkingDir: page.root,
        entryPoints: ['src/inline.js', 'src/server.js'],
        outdir: 'esbuilt',
        outExtension: { '.js': '.mjs' },
        bundle: true,
        splitting: true,
        format: 'esm',
        platform: 'node',
        logLevel: 'silent',
        plugins: [fusenetEsbuild()],
        alias: { fusenet: alias[0]!.replacement },
      })
    await make()
    const net = await (await run('esbuilt/server.mjs')).default.open({ batch: 1 })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
    page.write('src/blocks.net', BLOCKS.replace('fc(n)', 'fcc(n)'))
    const error: any = await make().catch((thrown: unknown) => thrown)
    page.write('src/blocks.net', BLOCKS)
    expect(error.errors[0]).toMatchObject({
      text: expect.stringContaining('there is no layer or block fcc'),
      pluginName: 'fusenet',
      location: { file: 'src/blocks.net', line: 2, column: 14, lineText: '  return x -> fcc(n) as layer' },
    })
  })

  test('webpack emits the files below its public path; a server has them in the code', async () => {
    const load = (
      target: string,
      file = 'src/tiny.net',
      options: FusenetOptions = {},
    ): Promise<{ code: string; emitted: Map<string, Uint8Array>; watched: string[] }> => {
      const [emitted, watched] = [new Map<string, Uint8Array>(), [] as string[]]
      return new Promise((resolve, reject) =>
        fusenetWebpack.call({
          resourcePath: join(page.root, file),
          resourceQuery: '',
          rootContext: page.root,
          target,
          getOptions: () => options,
          async: () => (error, code) => (error ? reject(error) : resolve({ code: code!, emitted, watched })),
          addDependency: (path) => watched.push(path),
          emitFile: (name, data) => emitted.set(name, data as Uint8Array),
          emitWarning: (warning) => {
            throw warning
          },
        })
      )
    }
    const { code, emitted, watched } = await load('web')
    const folder = /__webpack_public_path__ \+ "(assets\/tiny-[0-9a-f]{8}\/)"/.exec(code)![1]!
    const net = await open(new Map([...emitted].map(([name, data]) => [name.slice(folder.length), data])), { batch: 1, device: 'wasm' })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
    expect(watched.sort()).toEqual([join(page.root, 'src/blocks.net'), join(page.root, 'src/tiny.safetensors')])
    expect((await load('node')).emitted.size).toBe(0)
    page.write('src/wrong.net', TINY.replace('head(2)', 'heat(2)'))
    await expect(load('web', 'src/wrong.net')).rejects.toThrow(
      /wrong\.net:6:12: there is no layer or block heat[^]*6 \| {3}y = x -> heat\(2\)[^]*\^\^\^\^/,
    )
    await expect(load('web', 'src/tiny.net', { programs: 'infer' as never })).rejects.toThrow('programs "infer": a list of names is wanted')
  })
})

test('the project is as it was', () => {
  expect(readFileSync(join(page.root, 'src/tiny.net'), 'utf8')).toBe(TINY)
  expect(readdirSync(join(page.root, 'src')).filter((name) => name.endsWith('.ts'))).toEqual([])
})
