import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseAst } from 'vite'
import { encodeNpy } from '../../runtime/loading/npy.ts'
import { readBundle } from '../../runtime/node.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import type { Net } from '../../runtime/net-api.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { fusenet, json } from './helper.ts'
import { f32, LINE, programFiles } from './program-files.ts'

/** Verbs that compile and run a program's text. */
const at = programFiles()

describe('compile', () => {
  test('writes a folder that can be read, with weights where they are given', async () => {
    const said = await fusenet(['compile', at('line.net'), '-o', at('line'), '--weights', at('line.safetensors'), '--json'])
    expect(said.code, said.err).toBe(0)
    expect(json(said)).toMatchObject({ name: 'line', style: 'merged', weights: true })
    const bundle = await readBundle(at('line'))
    expect([...bundle.weights!.keys()].sort()).toEqual(['fc.bias', 'fc.weight'])
    expect((await readdir(at('line'))).sort()).toEqual(['bundle.d.ts', 'bundle.json', 'wasm', 'webgpu', 'weights.safetensors'])
  })

  test('--wide of a bundle, which keeps its wide modules when it is compiled again', async () => {
    const isWide = async (from: string, to: string, ...options: readonly string[]): Promise<boolean> => {
      const said = await fusenet(['compile', at(from), '-o', at(to), ...options])
      expect(said.code, said.err).toBe(0)
      return Object.values((await readBundle(at(to))).manifest.plans['wasm']!.modules!).some(({ wide }) => wide !== undefined)
    }
    await writeFile(at('vectors.net'), 'net vectors {\n  input x: f32[16]\n  output y = x -> fc(16) -> batch_norm -> relu -> fc(16)\n}\n')
    expect(await isWide('vectors.net', 'narrow')).toBe(false)
    expect(await isWide('narrow', 'broad', '--wide')).toBe(true)
    expect(await isWide('broad', 'kept', '--style', 'split')).toBe(true)
  })

  test('--programs and --targets: these and no others, and what a page fetches for them', async () => {
    const held = async (folder: string): Promise<[string[], string[]]> => {
      const { plans } = (await readBundle(at(folder))).manifest
      return [Object.keys(plans), Object.keys(Object.values(plans)[0]!.programs)]
    }
    const said = await fusenet([
      'compile',
      at('line.net'),
      '-o',
      at('infers'),
      '--programs',
      'infer',
      '--targets',
      'webgpu',
      '--weights',
      at('line.safetensors'),
    ])
    expect(said.code, said.err).toBe(0)
    expect(said.out).toMatch(/a page fetches, beside the weights:\n.*\nwebgpu +infer +3 /)
    expect(await held('infers')).toEqual([['webgpu'], ['infer']])
    // Compiled again it stays what it was, with its weights, unless told.
    expect((await fusenet(['compile', at('infers'), '--style', 'split', '-o', at('again')])).code).toBe(0)
    expect(await held('again')).toEqual([['webgpu'], ['infer']])
    expect([...(await readBundle(at('again'))).weights!.keys()].sort()).toEqual(['fc.bias', 'fc.weight'])
    expect((await fusenet(['compile', at('infers'), '--programs', 'default', '--targets', 'wasm', '-o', at('again')])).code).toBe(0)
    expect(await held('again')).toEqual([['wasm'], ['infer', 'eval', 'gradients', 'step', 'train']])
    // A verb that wants more says how to get it.
    const lacking = await fusenet(['step', at('infers')])
    expect(lacking).toMatchObject({
      code: 1,
      err: expect.stringContaining(
        'this net has no program step: it holds infer. Where the net has it: fusenet compile line.net --programs infer,step',
      ),
    })
  })

  test('of a net without outputs it is told that it has none', async () => {
    await writeFile(at('silent.net'), 'net silent {\n  input x: f32[2]\n  input t: class[2]\n  loss = softmax_loss(fc(x, 2), t)\n}\n')
    expect((await fusenet(['run', at('silent.net')])).err).toContain('this net has no program infer: it has no output')
    for (const verb of [['compile', '--programs', 'infer', '-o', at('refused')], ['export', '-o', at('silent.onnx')]]) {
      const said = await fusenet([verb[0]!, at('silent.net'), ...verb.slice(1)])
      expect([said.code, said.err]).toEqual([1, expect.stringContaining('it gives nothing out (output NAME = VALUE); it has eval')])
    }
  })

  test.each([
    [['--programs', 'trian'], 2, /there is no program trian; did you mean train\?/],
    [['--targets', 'webgpu,wsm'], 2, /there is no target wsm; did you mean wasm\?/],
    [['--programs', 'infer,,eval'], 2, /Names between commas/],
    [['--programs', 'infer,infer/batch'], 1, /line has no program infer\/batch: it normalizes nothing, so that is infer/],
    [['--programs', 'default,accumulate'], 1, /line has no program accumulate: its train block adds up no batches/],
  ])('%j is refused', async (more, code, message) => {
    const said = await fusenet(['compile', at('line.net'), '-o', at('refused'), ...more])
    expect([said.code, said.err]).toEqual([code, expect.stringMatching(message)])
    expect(await readdir(at('.'))).not.toContain('refused')
  })

  test('a bundle of an older format is refused, and compiled again from its text with its weights', async () => {
    await mkdir(at('older'))
    const text = await readFile(at('line.net'), 'utf8')
    await writeFile(
      at('older/bundle.json'),
      JSON.stringify({
        format: 'fusenet-bundle',
        version: 1,
        name: 'line',
        style: 'split',
        source: { files: [{ name: 'line.net', text }], sha256: '' },
        plans: { wasm: {} },
      }),
    )
    await writeFile(at('older/weights.safetensors'), await readFile(at('line.safetensors')))
    const refused = await fusenet(['run', at('older'), '--input', at('x.npy')])
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringContaining(
        `compile it again from the text that it carries ("line.net"), with its weights: fusenet compile ${at('older')} -o`,
      ),
    })
    expect((await fusenet(['compile', at('older'), '-o', at('newer')])).code).toBe(0)
    const { manifest, weights } = await readBundle(at('newer'))
    expect([manifest.name, manifest.style, Object.keys(manifest.plans), [...weights!.keys()].sort()]).toEqual(['line', 'split', ['wasm'], [
      'fc.bias',
      'fc.weight',
    ]])
  })

  test('weights that are lost: refused, unless others or none are asked for', async () => {
    expect((await fusenet(['compile', at('line.net'), '-o', at('robbed'), '--weights', at('line.safetensors')])).code).toBe(0)
    await rm(at('robbed/weights.safetensors'))
    expect(await fusenet(['eval', at('robbed')])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/weights\.safetensors: is not there; this bundle was written with weights/),
    })
    expect((await fusenet(['compile', at('robbed'), '-o', at('mended'), '--weights', at('line.safetensors')])).code).toBe(0)
    expect((await readBundle(at('mended'))).weights!.size).toBe(2)
    expect((await fusenet(['compile', at('robbed'), '-o', at('bare'), '--weights', 'fresh'])).code).toBe(0)
    expect((await readBundle(at('bare'))).weights).toBeUndefined()
  })

  test('a bundle of the other style keeps its weights', async () => {
    await fusenet(['compile', at('conv.net'), '-o', at('merged'), '--json'])
    const split = await fusenet(['compile', at('merged'), '--style', 'split', '-o', at('split'), '--json'])
    expect(split.code, split.err).toBe(0)
    expect((await readBundle(at('split'))).manifest.parameters.map((p) => p.name)).toEqual(
      (await readBundle(at('merged'))).manifest.parameters.map((p) => p.name),
    )
  })

  test('--storage f16: a plan more, which a bundle without it is compiled again for', async () => {
    const plans = async (folder: string): Promise<string[]> => Object.keys((await readBundle(at(folder))).manifest.plans)
    await fusenet(['compile', at('conv.net'), '-o', at('whole'), '--json'])
    expect(await plans('whole')).toEqual(['webgpu', 'wasm'])
    const lacking = await fusenet(['inspect', at('whole'), '--storage', 'f16'])
    expect({ code: lacking.code, err: lacking.err }).toEqual({
      code: 1,
      err: expect.stringContaining('compile it again with --storage f16'),
    })

    const said = await fusenet(['compile', at('whole'), '--storage', 'f16', '-o', at('half'), '--json'])
    expect(said.code, said.err).toBe(0)
    expect(await plans('half')).toEqual(['webgpu', 'wasm', 'webgpu-f16'])
    await fusenet(['compile', at('half'), '--style', 'split', '-o', at('half-split'), '--json'])
    expect(await plans('half-split')).toEqual(['webgpu', 'wasm', 'webgpu-f16'])

    const infer = async (storage: string) => json(await fusenet(['inspect', at('half'), '--storage', storage, '--json'])).programs.infer
    // Of conv1 are left 4 x 4 x 4 values of 2 bytes; the three results are float32.
    expect((await infer('f16')).bytesWritten).toBe(2 * 64 + 4 * 3 + 2 * 3)
    expect((await infer('f32')).bytesWritten).toBe(4 * 64 + 4 * 3 + 4 * 3)
  })

  test('f16 is refused where it cannot be', async () => {
    await writeFile(at('image.npy'), encodeNpy({ shape: [1, 1, 6, 6], type: 'f32', data: new Float32Array(36) }))
    const onCpu = await fusenet(['run', at('conv.net'), '--storage', 'f16', '--device', 'wasm', '--input', at('image.npy')])
    expect(onCpu).toMatchObject({ code: 2, err: expect.stringContaining('--storage f16 is for WebGPU: leave it out with --device wasm') })
    expect((await fusenet(['inspect', at('conv.net'), '--storage', 'f16', '--device', 'wasm'])).code).toBe(2)
  })

  test('an older bundle is replaced, other files are left alone', async () => {
    await mkdir(at('mine'))
    await writeFile(at('mine/letter.txt'), 'dear')
    const { code, err } = await fusenet(['compile', at('line.net'), '-o', at('mine')])
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('letter.txt') })
    expect((await fusenet(['compile', at('line.net'), '-o', at('twice')])).code).toBe(0)
    expect((await fusenet(['compile', at('line.net'), '-o', at('twice')])).code).toBe(0)
  })

  test('errors of the text, as JSON too', async () => {
    const said = await fusenet(['compile', at('wrong.net'), '-o', at('wrong'), '--json'])
    expect(said.code).toBe(1)
    expect(json(said).error.diagnostics[0]).toMatchObject({ severity: 'error' })
    expect(await readdir(at('.'))).not.toContain('wrong')
  })

  test('--format esm: one module with types', async () => {
    const said = await fusenet([
      'compile',
      at('line.net'),
      '--weights',
      at('line.safetensors'),
      '--format',
      'esm',
      '-o',
      at('module/line.mjs'),
      '--json',
    ])
    expect(said.code, said.err).toBe(0)
    expect(json(said).files).toEqual(['line.mjs', 'line.d.mts'])
    const module = await import(/* @vite-ignore */ pathToFileURL(at('module/line.mjs')).href) as typeof import('../../runtime/index.ts') & {
      files: ReadonlyMap<string, Uint8Array>
      open(options: OpenOptions): Promise<Net>
    }
    expect([...module.files.keys()].sort()).toEqual([
      'bundle.json',
      'wasm/infer.json',
      'wasm/infer.wasm',
      'wasm/train.json',
      'wasm/train.wasm',
      'webgpu/infer.json',
      'webgpu/infer.wgsl',
      'webgpu/train.json',
      'webgpu/train.wgsl',
      'weights.safetensors',
    ])
    const code = await readFile(at('module/line.mjs'), 'utf8')
    expect(parseAst(code).body.filter((statement) => 'source' in statement && statement.source)).toEqual([])
    expect(/\bimport\s*\(/.test(code)).toBe(false)
    const device = await module.webgpu({ gpu: await softwareGpu() })
    const net = await module.open({ device, batch: 1 })
    const { prob } = await net.run({ x: [Math.log(3), 0] })
    expect(prob![0]).toBeCloseTo(3 / 4, 5)
    net.close()
    device.close()
    const onCpu = await module.open({ batch: 1, device: 'wasm' })
    expect((await onCpu.run({ x: [Math.log(3), 0] }))['prob']![0]).toBeCloseTo(3 / 4, 5)
    // All that the library has. By hand: the logits of x are x, and label 0 has probability 3/4, label 1 has 1/2.
    const two = module.arrays({
      x: { shape: [2], type: 'f32', data: Float32Array.of(Math.log(3), 0, 0, 0) },
      label: { shape: [], type: 'i32', data: Int32Array.of(0, 1) },
    })
    expect((await onCpu.evaluate(two)).loss).toBeCloseTo(-(Math.log(3 / 4) + Math.log(1 / 2)) / 2, 6)
    expect((await onCpu.save()).weights?.size).toBe(2)
    onCpu.close()
    const there = await module.open({ batch: 1, worker: true })
    expect((await there.run({ x: [Math.log(3), 0] }))['prob']![0]).toBeCloseTo(3 / 4, 5)
    there.close()
  })

  test('--weights-beside: a module whose weights are a file', async () => {
    const weights = ['--weights', at('line.safetensors')]
    const said = await fusenet([
      'compile',
      at('line.net'),
      ...weights,
      '--programs',
      'infer',
      '--targets',
      'wasm',
      '--format',
      'esm',
      '--weights-beside',
      '--no-worker',
      '-o',
      at('beside/line.mjs'),
      '--json',
    ])
    expect(json(said).files).toEqual(['line.mjs', 'line.d.mts', 'line.weights.safetensors'])
    const { open, files } = await import(/* @vite-ignore */ pathToFileURL(at('beside/line.mjs')).href) as
      & typeof import('../../runtime/index.ts')
      & { files: ReadonlyMap<string, Uint8Array>; open(options: OpenOptions): Promise<Net> }
    expect([...files.keys()].sort()).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm'])
    const seen: string[] = []
    const net = await open({ device: 'wasm', batch: 1, onProgress: ({ file }) => seen.push(file) })
    expect((await net.run({ x: [Math.log(3), 0] }))['prob']![0]).toBeCloseTo(3 / 4, 5)
    net.close()
    expect(seen).toContain('weights.safetensors')
    await writeFile(at('beside/line.weights.safetensors'), 'x')
    await expect(open({ device: 'wasm' })).rejects.toThrow(/line\.weights\.safetensors: is cut: 1 bytes/)
    ;(await open({ device: 'wasm', weights: 'fresh' })).close()
    await expect(open({ weights: 'fresh', worker: true })).rejects.toThrow(/written without a worker \(fusenet compile --no-worker\)/)
    expect((await fusenet(['compile', at('line.net'), '--format', 'esm', '--weights-beside', '-o', at('beside/line.mjs')])).err).toMatch(
      /line has no weights to lie beside the module/,
    )
    expect((await fusenet(['compile', at('line.net'), '--weights-beside', '-o', at('beside/line')])).err).toMatch(
      /--weights-beside is for --format esm/,
    )
  })

  test('its types say what the net takes and gives', async () => {
    await fusenet(['compile', at('line.net'), '--format', 'esm', '-o', at('typed/line.mjs')])
    await writeFile(
      at('typed/right.mts'),
      `import { arrays, InputError, type Line, type Net, open, type Outputs } from './line.mjs'
const net: Net<Line> = await open({ batch: 2 })
const { prob } = await net.run({ x: new Float32Array(4) })
await net.run({ x: [[1, 2], [3, 4]] })
await net.setParameters({ 'fc.bias': new Float32Array(2) }, { strict: false })
const { loss, grads } = await net.step({ x: new Float32Array(4), label: new Int32Array(2) }, { update: false })
const data = arrays({ x: { shape: [2], type: 'f32', data: new Float32Array(4) } })
for await (const { step } of net.train(data, { epochs: 1 })) if (step > 1) throw new InputError('')
const { metrics } = await net.evaluate(data)
await net.save()
export const numbers: readonly [Float32Array, number, Float32Array, number, Outputs<Line>['prob']] = [prob, loss, grads['fc.weight'], metrics.loss, prob]
// @ts-expect-error
await net.run({ image: new Float32Array(4) })
// @ts-expect-error
grads['fc.wieght']
// @ts-expect-error
await open({ programs: ['infre'] })
`,
    )
    const tsc = (name: string) =>
      promisify(execFile)(process.execPath, [
        resolve('node_modules/typescript/bin/tsc'),
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        'false',
        '--target',
        'es2022',
        '--module',
        'nodenext',
        '--types',
        '',
        '--lib',
        'es2022',
        at(name),
      ], { cwd: at('.') })
    await tsc('typed/right.mts').catch((error: { stdout: string }) => {
      throw new Error(error.stdout)
    })
  }, 60_000)
})

describe('step, on the interpreter', () => {
  // logits = x; p = softmax: [3/4, 1/4] and [1/2, 1/2]; loss = -(log 3/4 + log 1/2) / 2; dlogits = (p - onehot) / 2.
  const d = [[-1 / 8, 1 / 8], [1 / 4, -1 / 4]] as const
  test('the numbers of a linear classifier', async () => {
    const said = await fusenet([
      'step',
      at('line.net'),
      '--weights',
      at('line.safetensors'),
      '--input',
      at('in.safetensors'),
      '-o',
      at('g.safetensors'),
      '--device',
      'interpreter',
      '--json',
    ])
    expect(said.code, said.err).toBe(0)
    expect(json(said).loss).toBeCloseTo(-(Math.log(3 / 4) + Math.log(1 / 2)) / 2, 6)
    const { tensors } = readSafetensors(await readFile(at('g.safetensors')))
    expect([...tensors.keys()].sort()).toEqual(['grad/fc.bias', 'grad/fc.weight', 'grad/x', 'loss', 'new/fc.bias', 'new/fc.weight', 'prob'])
    const near = (name: string, wanted: readonly number[]): void => {
      const got = Array.from(tensors.get(name)!.data as Float64Array)
      expect(got).toHaveLength(wanted.length)
      wanted.forEach((value, i) => expect(got[i]!, name).toBeCloseTo(value, 6))
    }
    near('prob', [3 / 4, 1 / 4, 1 / 2, 1 / 2])
    const bias = [d[0][0] + d[1][0], d[0][1] + d[1][1]]
    near('grad/fc.bias', bias)
    near('grad/fc.weight', [d[0][0] * Math.log(3), 0, d[0][1] * Math.log(3), 0])
    near('grad/x', d.flat())
    near('new/fc.bias', bias.map((g) => -0.5 * g))
  })

  test('weights that are missing are told by name', async () => {
    await writeFile(at('half.safetensors'), writeSafetensors(new Map([['fc.weight', f32([2, 3], [1, 0, 0, 1, 0, 0])]])))
    const { code, err } = await fusenet([
      'step',
      at('line.net'),
      '--weights',
      at('half.safetensors'),
      '--input',
      at('in.safetensors'),
      '--device',
      'interpreter',
    ])
    expect(code).toBe(1)
    expect(err).toContain('fc.weight is [2, 3], the net has [2, 2]')
    expect(err).toContain('fc.bias [2] is missing')
  })
})

test('train wants a loss and a train block', async () => {
  await writeFile(at('lossless.net'), 'net a { input x: f32[2] output y = x -> fc(2) }\n')
  expect(await fusenet(['train', at('lossless.net'), '--device', 'interpreter'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('no loss'),
  })
  await writeFile(at('blockless.net'), LINE.replace(/train.*\n/, ''))
  expect(await fusenet(['train', at('blockless.net'), '--device', 'interpreter'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('no train block'),
  })
})

test('run on the interpreter', async () => {
  await writeFile(at('x.npy'), encodeNpy(f32([1, 2], [Math.log(3), 0])))
  const said = await fusenet([
    'run',
    at('line.net'),
    '--weights',
    at('line.safetensors'),
    '--input',
    at('x.npy'),
    '--device',
    'interpreter',
    '--json',
  ])
  expect(said.code, said.err).toBe(0)
  expect(json(said).outputs.prob.data[0]).toBeCloseTo(0.75, 6)
})
