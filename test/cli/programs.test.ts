import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAst } from 'vite'
import { encodeNpy } from '../../runtime/loading/npy.ts'
import { readBundle } from '../../runtime/node.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import type { TensorData } from '../../bundle/format.ts'
import type { Net } from '../../runtime/net-api.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { fusenet, json } from './helper.ts'

/** Verbs that take a program's text. */
let folder: string
const at = (name: string): string => join(folder, name)
const f32 = (shape: number[], values: number[]): TensorData => ({ shape, type: 'f32', data: Float32Array.from(values) })

const LINE = `net line {
  input x: f32[2]
  input label: class[2]
  logits = x -> fc(2) as fc
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.5) }
`
const CONV = `net conv {
  input image: f32[1, 6, 6]
  input label: class[3]
  logits = image -> conv(4, 3) as conv1 -> batch_norm as bn1 -> relu -> fc(3) as fc
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1, momentum: 0.9) batch 4 }
`
const DEEP = `net deep {
  input image: f32[4, 12, 12]
  input label: class[3]
  x = image
  for i in 0..6 {
    x = x -> conv(8, 3, pad: 1) as conv{i} -> batch_norm as bn{i} -> relu as relu{i}
  }
  logits = x -> global_avg_pool -> fc(3)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1) batch 8 }
`
const TWO_ERRORS = `net wrong {
  input image: f32[1, 6, 6]
  a = image -> conw(4, 3)
  b = image -> conv(4, 9)
  output y = add(a, b)
}
`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-programs-'))
  await writeFile(at('line.net'), LINE)
  await writeFile(at('conv.net'), CONV)
  await writeFile(at('wrong.net'), TWO_ERRORS)
  await writeFile(at('deep.net'), DEEP)
  await writeFile(
    at('line.safetensors'),
    writeSafetensors(new Map([['fc.weight', f32([2, 2], [1, 0, 0, 1])], ['fc.bias', f32([2], [0, 0])]])),
  )
  await writeFile(
    at('in.safetensors'),
    writeSafetensors(
      new Map([['x', f32([2, 2], [Math.log(3), 0, 0, 0])], ['label', { shape: [2], type: 'i32', data: Int32Array.of(0, 1) }]]),
    ),
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('check', () => {
  test('a program without errors: exit code 0', async () => {
    const { code, out } = await fusenet(['check', at('line.net'), at('conv.net')])
    expect(code).toBe(0)
    expect(out).toContain(`${at('line.net')}: no errors`)
  })

  test('several errors in one run, each with its place: exit code 1', async () => {
    const { code, out, err } = await fusenet(['check', at('wrong.net')])
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain(`${at('wrong.net')}:3:`)
    expect(err).toMatch(/conw.*|did you mean/s)
    expect(err).toContain('a = image -> conw(4, 3)')
  })

  test('--json: severity, code, line and column', async () => {
    const said = await fusenet(['check', at('wrong.net'), '--json'])
    const { ok, files } = json(said)
    expect({ code: said.code, ok }).toEqual({ code: 1, ok: false })
    expect(files[0].errors).toBeGreaterThanOrEqual(1)
    expect(files[0].diagnostics[0]).toMatchObject({
      severity: 'error',
      labels: [{ file: at('wrong.net'), line: 3, column: expect.any(Number), endLine: 3 }],
    })
  })

  test('imports are read beside the file', async () => {
    await mkdir(at('lib'))
    await writeFile(at('lib/blocks.net'), 'block twice(x) { return x -> fc(2) -> fc(2) }\n')
    await writeFile(at('importing.net'), 'import "./lib/blocks.net"\nnet a { input x: f32[2] output y = x -> twice }\n')
    await writeFile(at('lost.net'), 'import "./lib/block.net"\nnet a { input x: f32[2] output y = x -> twice }\n')
    expect((await fusenet(['check', at('importing.net')])).code).toBe(0)
    const { code, err } = await fusenet(['check', at('lost.net')])
    expect(code).toBe(1)
    expect(err).toContain('lib/block.net')
  })
})

describe('fmt', () => {
  const UGLY = 'net a{input x:f32[2]// two\noutput y=x->fc(2)}'
  test('rewrites a file, once', async () => {
    await writeFile(at('ugly.net'), UGLY)
    expect((await fusenet(['fmt', '--check', at('ugly.net')])).code).toBe(1)
    expect(await readFile(at('ugly.net'), 'utf8')).toBe(UGLY)
    expect(json(await fusenet(['fmt', at('ugly.net'), '--json'])).files).toEqual([{ file: at('ugly.net'), changed: true }])
    expect(await readFile(at('ugly.net'), 'utf8')).toContain('// two')
    expect((await fusenet(['fmt', '--check', at('ugly.net')])).code).toBe(0)
  })

  test('- reads standard input', async () => {
    const { code, out } = await fusenet(['fmt', '-'], { input: UGLY })
    expect(code).toBe(0)
    expect(out).toContain('output y = x -> fc(2)')
  })

  test('what cannot be parsed stays as it is', async () => {
    await writeFile(at('broken.net'), 'net a {')
    const { code, err } = await fusenet(['fmt', at('broken.net')])
    expect(code).toBe(1)
    expect(err).toContain('broken.net:1:')
    expect(await readFile(at('broken.net'), 'utf8')).toBe('net a {')
  })

  // Of the same text nothing else can be said.
  test('the samples are laid out, and are again when they have lost their layout', async () => {
    for (const name of (await readdir('samples')).filter((name) => name.endsWith('.net'))) {
      const text = await readFile(join('samples', name), 'utf8')
      await writeFile(at(name), text.replace(/^ +/gm, ''))
      expect((await fusenet(['fmt', at(name)])).code).toBe(0)
      expect(await readFile(at(name), 'utf8')).toBe(text)
    }
  })
})

describe('compile', () => {
  test('writes a folder that can be read, with weights where they are given', async () => {
    const said = await fusenet(['compile', at('line.net'), '-o', at('line'), '--weights', at('line.safetensors'), '--json'])
    expect(said.code, said.err).toBe(0)
    expect(json(said)).toMatchObject({ name: 'line', style: 'merged', weights: true })
    const bundle = await readBundle(at('line'))
    expect([...bundle.weights!.keys()].sort()).toEqual(['fc.bias', 'fc.weight'])
    expect((await readdir(at('line'))).sort()).toEqual(['bundle.d.ts', 'bundle.json', 'wasm', 'webgpu', 'weights.safetensors'])
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

  test.each([
    [['--programs', 'trian'], 2, /there is no program trian; did you mean train\?/],
    [['--targets', 'webgpu,wsm'], 2, /there is no target wsm; did you mean wasm\?/],
    [['--programs', 'infer,,eval'], 2, /Names between commas/],
    [['--programs', 'infer,infer/batch'], 1, /line has no program infer\/batch: it normalizes nothing, so that is infer/],
    [['--programs', 'default,accumulate'], 1, /line has no program accumulate: its train block adds up no batches/],
  ])('%j is refused', async (more, code, message) => {
    const said = await fusenet(['compile', at('line.net'), '-o', at('refused'), ...more])
    expect([said.code, said.err]).toEqual([code, expect.stringMatching(message)])
    expect(await readdir(folder)).not.toContain('refused')
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
    expect({ code: onCpu.code, err: onCpu.err }).toEqual({
      code: 3,
      err: expect.stringContaining('f16 storage is for WebGPU, this net would run on wasm'),
    })
    expect((await fusenet(['inspect', at('conv.net'), '--storage', 'f16', '--device', 'wasm'])).code).toBe(2)
  })

  test('an older bundle is replaced, other files are left alone', async () => {
    await mkdir(at('mine'))
    await writeFile(at('mine/letter.txt'), 'dear')
    const { code, err } = await fusenet(['compile', at('line.net'), '-o', at('mine')])
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('letter.txt') })
    expect((await fusenet(['compile', at('line.net'), '-o', at('again')])).code).toBe(0)
    expect((await fusenet(['compile', at('line.net'), '-o', at('again')])).code).toBe(0)
  })

  test('errors of the text, as JSON too', async () => {
    const said = await fusenet(['compile', at('wrong.net'), '-o', at('wrong'), '--json'])
    expect(said.code).toBe(1)
    expect(json(said).error.diagnostics[0]).toMatchObject({ severity: 'error' })
    expect(await readdir(folder)).not.toContain('wrong')
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
      ], { cwd: folder })
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

describe('inspect', () => {
  test('--json: kernels with layers, FLOPs, bytes and reasons; linear in the batch', async () => {
    const one = json(await fusenet(['inspect', at('conv.net'), '--json']))
    const ten = json(await fusenet(['inspect', at('conv.net'), '--batch', '10', '--json']))
    expect(one).toMatchObject({ name: 'conv', style: 'merged', batch: 1 })
    expect(Object.keys(one.programs)).toEqual(expect.arrayContaining(['prepare', 'infer', 'train']))
    for (const kernel of one.programs.infer.kernels) {
      expect(Object.keys(kernel).sort()).toEqual(['bytesRead', 'bytesWritten', 'flops', 'layers', 'name', 'why'])
    }
    const { infer } = one.programs
    expect(infer.flops).toBe(infer.kernels.reduce((sum: number, kernel: { flops: number }) => sum + kernel.flops, 0))
    expect(infer.lowerBound).toBeTypeOf('object')
    expect(infer.peakBytes).toBeGreaterThanOrEqual(infer.lowerBound.peakBytes)
    // conv 3x3 on 4x4x4 outputs and fc 64 -> 3, a product and a sum each.
    expect(infer.lowerBound.flops).toBe(2 * (9 * 64 + 64 * 3))
    expect(ten.programs.infer.lowerBound.flops).toBe(10 * infer.lowerBound.flops)
  })

  test('merged: convolution, normalization and activation are one kernel; split: one each', async () => {
    const merged = json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--json'])).programs.infer.kernels
    const split =
      json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--style', 'split', '--json'])).programs.infer.kernels
    expect(
      merged.some((kernel: { layers: string[] }) =>
        kernel.layers.includes('conv1') && kernel.layers.includes('bn1') && kernel.layers.includes('relu_1')
      ),
    ).toBe(true)
    expect(split.every((kernel: { layers: string[] }) => kernel.layers.length === 1)).toBe(true)
    // conv1, normalization, scale and shift, relu, fc, softmax.
    expect(split).toHaveLength(6)
  })

  test('--memory small: less at once, and what is computed again; a bundle keeps to what it was compiled with, unless told', async () => {
    const train = async (net: string, ...options: string[]) =>
      json(await fusenet(['inspect', at(net), '--batch', '8', '--json', ...options])).programs.train
    const [fast, small] = [await train('deep.net'), await train('deep.net', '--memory', 'small')]
    expect(fast.flopsAgain).toBe(0)
    expect(small.flopsAgain).toBeGreaterThan(0)
    expect(small.peakBytes).toBeLessThan(fast.peakBytes)
    expect(small.lastingBytes).toBe(fast.lastingBytes)
    const compiled = json(await fusenet(['compile', at('deep.net'), '--memory', 'small', '-o', at('small'), '--json']))
    expect(compiled.memory).toBe('small')
    expect(await train('small')).toEqual(small)
    expect(await train('small', '--memory', 'fast')).toEqual(fast)
    expect((await fusenet(['inspect', at('deep.net'), '--memory', 'small', '--program', 'train'])).out).toMatch(
      /memory small.*[^]*of them again[^]*\.again/,
    )
  })

  test('a bundle tells the same as its text', async () => {
    await fusenet(['compile', at('conv.net'), '-o', at('inspected')])
    expect(json(await fusenet(['inspect', at('inspected'), '--json']))).toEqual(json(await fusenet(['inspect', at('conv.net'), '--json'])))
  })

  test('for people: a table a program', async () => {
    const { code, out } = await fusenet(['inspect', at('conv.net'), '--program', 'infer'])
    expect(code).toBe(0)
    expect(out).toMatch(/^conv \(merged\), batch 1$/m)
    expect(out).toMatch(/^infer: \d+ kernels/m)
    expect(out).toMatch(/conv1 \+ bn1 \+ relu_1/)
  })

  test.each(['graph', 'loops', 'kernels'])('--print %s', async (what) => {
    const { code, out } = await fusenet(['inspect', at('conv.net'), '--print', what, '--program', 'infer'])
    expect(code).toBe(0)
    expect(out).toMatch(/^# infer after /m)
    expect(out).toContain('conv1')
  })

  test('--after all prints every pass, `unchanged` where it did nothing; one pass by its name', async () => {
    const { out } = await fusenet(['inspect', at('conv.net'), '--after', 'all', '--program', 'infer'])
    expect(out.match(/^# infer after /gm)!.length).toBeGreaterThan(3)
    expect(out).toContain('unchanged')
    const one = await fusenet(['inspect', at('conv.net'), '--after', 'fold-batch-norm', '--program', 'infer'])
    expect(one.out.match(/^# /gm)).toHaveLength(1)
    const wrong = await fusenet(['inspect', at('conv.net'), '--after', 'fold-batchnorm'])
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('did you mean fold-batch-norm?') })
  })

  test('--without leaves out a pass', async () => {
    const whole = json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--json'])).programs.infer.kernels.length
    const less =
      json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--without', 'fuse', '--json'])).programs.infer.kernels.length
    expect(less).toBeGreaterThan(whole)
    expect(await fusenet(['inspect', at('conv.net'), '--without', 'fues'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean fuse?'),
    })
  })

  test('--emit-dir writes numbered files', async () => {
    await fusenet(['inspect', at('conv.net'), '--emit-dir', at('emitted'), '--program', 'infer'])
    const names = await readdir(at('emitted/infer'))
    expect(names.length).toBeGreaterThan(3)
    expect(names.every((name) => /^\d\d-[a-z-]+\.txt$/.test(name))).toBe(true)
  })

  test('a program that is not there', async () => {
    expect(await fusenet(['inspect', at('conv.net'), '--program', 'infr'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('did you mean infer?'),
    })
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
