import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { VERBS } from '../../cli/verbs/index.ts'
import { compile } from '../../compiler/index.ts'
import { type Bundle, bundleFiles, open, wasm } from '../../runtime/index.ts'
import { writeBundle } from '../../runtime/node.ts'
import { writeSafetensors } from '../../runtime/safetensors.ts'
import { fusenet } from '../cli/helper.ts'
// Loaded before any script is: it has hooks of its own.
import '../devices/webgpu.ts'
import { kindOf, snippetsOf, wordsOf } from './snippets.ts'

/*
 * What README and the other pages show is run as it stands. Given beside it is only what the text speaks of: a bundle at `/mnist/`,
 * a picture, a dataset.
 */

const root = join(import.meta.dirname, '../..')
/** `docs/language` is written by a generator, whose test compiles what it shows. */
const PAGES = ['README.md', 'samples/README.md', ...(await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]
const snippets = (await Promise.all(PAGES.map(async (file) => snippetsOf(file, await readFile(join(root, file), 'utf8'))))).flat()
const of = (kind: ReturnType<typeof kindOf>) => snippets.filter((snippet) => kindOf(snippet) === kind).map((snippet) => [`${snippet.file}:${snippet.line}`, snippet] as const)

/** The names of samples/mnist.net in little: what it computes is asked elsewhere. */
const SMALL = `net mnist { input image: f32[1, 28, 28] input label: class[10]
  logits = image -> avg_pool(7) -> conv(4, 3) -> batch_norm -> relu -> fc(10) output prob = softmax(logits) loss = softmax_loss(logits, label) metric accuracy = accuracy(logits, label) }
train { data mnist batch 100 epochs 2 solver sgd(lr: 0.05, momentum: 0.9) }`

let folder: string
let home: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-readme-'))
  home = process.cwd()
  process.chdir(folder)
  await symlink(join(root, 'samples'), 'samples')
  const programs = ['default', 'step/global', 'train/global']
  const write = async (bundle: Bundle, ...places: string[]): Promise<void> => {
    const net = await open(bundle, { device: await wasm({ threads: 1 }) })
    for (const place of places) {
      await mkdir(join(place, '..'), { recursive: true })
      await writeBundle(await net.save(), place)
    }
    net.close()
  }
  await write(compile(SMALL, { storage: 'f16', programs }), 'mnist', 'digits', 'models/digits')
  // What `fusenet train samples/mnist.net -o out/mnist` would have written.
  await write(compile(await readFile('samples/mnist.net', 'utf8'), { targets: ['wasm'], programs }), 'out/mnist')
  await sharp({ create: { width: 28, height: 28, channels: 3, background: '#000' } }).png().toFile('digit.png')
  await writeFile('one.safetensors', writeSafetensors(new Map([
    ['image', { shape: [1, 1, 28, 28], type: 'f32', data: new Float32Array(784) }], ['label', { shape: [1], type: 'i32', data: Int32Array.of(3) }],
  ])))
})
afterAll(async () => {
  process.chdir(home)
  await rm(folder, { recursive: true, force: true })
})

describe('scripts', () => {
  /** What the text calls by name. `create` of webgpu gives the software adapter, where machines have no other. */
  const GIVEN = (source: (file: string) => string): string => `
    import { arrays as arrays_ } from '${source('runtime/index.ts')}'
    const [image, label, images, labels] = [new Float32Array(784), Int32Array.of(7), new Float32Array(78400), new Int32Array(100)]
    const source = ${JSON.stringify(SMALL)}
    const dataset = arrays_({ image: { shape: [1, 28, 28], type: 'f32', data: new Float32Array(100 * 784) }, label: { shape: [], type: 'i32', data: new Int32Array(100), classes: 10 } })`

  test.each(of('script'))('%s', async (_, { file, line, text }) => {
    const source = (path: string): string => pathToFileURL(join(root, path)).href.replace('file://', '')
    const modules = new Map([
      ['fusenet/runtime', source('runtime/index.ts')], ['fusenet/runtime/node', source('runtime/node.ts')], ['fusenet/compiler', source('compiler/index.ts')],
      ['webgpu', source('test/end-to-end/webgpu-of-tests.ts')], ['./mnist.js', join(folder, 'public/mnist.js')],
    ])
    if (text.includes("'./mnist.js'")) {
      expect((await fusenet(['compile', 'samples/mnist.net', '--format', 'esm', '-o', 'public/mnist.js'])).code).toBe(0)
    }
    const imports = [...text.matchAll(/^import .* from '(.*)'/gm)].map(([, name]) => name!)
    expect(imports.filter((name) => !modules.has(name))).toEqual([])
    const code = text
      .replace(/^(import .* from )'(.*?)'/gm, (_, start, name) => `${start}'${modules.get(name)}'`)
      // Below the page in the text, a folder here. Other than that, the bundle and the data of the text are in the working folder.
      .replaceAll("'/mnist/'", `'${join(folder, 'mnist')}'`)
      // As in the block before it.
      .replace(/^/, imports.length > 0 ? '' : `import { compile } from '${modules.get('fusenet/compiler')}'; import { open } from '${source('runtime/index.ts')}'; `)
      // What is computed is small enough for any machine.
      .replaceAll("loadDataset('mnist'", "(() => dataset)('mnist'")
    const path = join(folder, `${file.replace(/\W/g, '_')}_${line}.ts`)
    await writeFile(path, `${GIVEN(source)}\n${code}\nexport {}`)
    const said = vi.spyOn(console, 'log').mockImplementation(() => {})
    // Half precision is for devices that have it: the text says that it throws elsewhere.
    const run = import(/* @vite-ignore */ path)
    await (text.includes("storage: 'f16' })   // or throws") ? expect(run).rejects.toThrow(/f16/) : run)
    said.mockRestore()
  })
})

describe('programs', () => {
  test.each(of('program'))('%s', (_, { text }) => { compile(text, { targets: [], programs: ['infer'] }) })
  test.each(of('statement'))('%s', (_, { text }) => { compile(`net n { input image: f32[3, 32, 32] ${text} output y = x }`, { targets: [], programs: ['infer'] }) })
})

describe('commands', () => {
  /** What takes seconds at most is run; of the rest, the command line is read. */
  const RUN = /^fusenet (check|run|step|compile|inspect samples\/mnist\.net|inspect .*cifar10_quick)/
  const lines = of('commands').flatMap(([where, { text }]) => text.split('\n').filter((line) => line.trim() !== '').map((line) => [`${where}: ${line.replace(/\s+#.*/, '')}`, line] as const))

  test.each(lines)('%s', async (_, line) => {
    const [command, ...argv] = wordsOf(line)
    for (const word of argv) if (/^samples\//.test(word) && command !== 'npx') expect(existsSync(word), word).toBe(true)
    if (command === 'fusenet') {
      const verb = VERBS.find(({ name }) => name === argv[0])!
      const stub = RUN.test(line) ? undefined : vi.spyOn(verb, 'run').mockResolvedValue(0)
      const { code, err } = await fusenet(argv)
      expect(code, err).toBe(0)
      if (stub) expect(stub).toHaveBeenCalledOnce()
      stub?.mockRestore()
    } else {
      const { scripts, dependencies, devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>
      if (command === 'npm') expect([...Object.keys(scripts!), 'link']).toContain(argv[0] === 'run' ? argv[1] : argv[0])
      if (command === 'npx') expect(Object.keys({ ...dependencies, ...devDependencies })).toContain(argv[0])
      if (command === 'node') expect(existsSync(join(root, argv[0]!)), argv[0]).toBe(true)
    }
  })
})

test('lists of files are what is written', async () => {
  const { text } = of('files')[0]![1]
  const listed = [...text.matchAll(/([\w./-]+\.(?:json|safetensors|wgsl|wasm))/g)].map(([, name]) => name!)
  const net = await open(compile(SMALL), { device: await wasm({ threads: 1 }) })
  const written = Object.keys(Object.fromEntries(await bundleFiles(await net.save())))
  net.close()
  // The last ones are named in the remarks beside others.
  const named = new Set(listed.map((name) => (name.includes('/') || /^(bundle|weights)/.test(name) ? name : `wasm/${name}`)))
  expect([...named].sort()).toEqual(written.sort())
})
