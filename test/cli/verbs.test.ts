import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeNpy, parseNpy } from '../../runtime/loading/npy.ts'
import type { TensorData } from '../../bundle/format.ts'
import { readBundle, writeBundle } from '../../runtime/node.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { fixture } from '../runtime/fixture.ts'
import { fusenet, json, lines } from './helper.ts'

/**
 * Verbs that run a bundle, on the bundle of test/runtime/fixture.ts: y = x * 2w with w = 0.25,
 * loss = mean of (y[label] - 1)^2 / 2, SGD with momentum 0.9 and rate 0.1.
 */
let folder: string
const home = process.cwd()
const at = (name: string): string => join(folder, name)
const f32 = (shape: number[], values: number[]): TensorData => ({ shape, type: 'f32', data: Float32Array.from(values) })
const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-verbs-'))
  // What goes to out/NAME goes there.
  process.chdir(folder)
  await writeBundle(fixture(), at('line'))
  await writeFile(at('x.npy'), encodeNpy(f32([2, 3], [1, 2, 3, 4, 5, 6])))
  await writeFile(
    at('both.safetensors'),
    writeSafetensors(new Map([['x', f32([2, 3], [1, 2, 3, 4, 5, 6])], ['label', { shape: [2], type: 'i32', data: Int32Array.of(0, 2) }]])),
  )
  await mkdir(at('data'))
  // 20 samples to train with, 6 to test: the last batch of 4 is not full.
  const bytes = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 37) % 256)
  for (const [name, count] of [['train', 20], ['t10k', 6]] as const) {
    await writeFile(at(`data/${name}-images-idx3-ubyte`), idx([count, 1, 3], bytes(3 * count)))
    await writeFile(at(`data/${name}-labels-idx1-ubyte`), idx([count], bytes(count).map((b) => b % 3)))
  }
})
afterAll(() => {
  process.chdir(home)
  return rm(folder, { recursive: true, force: true })
})

describe('run', () => {
  test('writes results of all samples, whatever the batch', async () => {
    for (const batch of [[], ['--batch', '1']]) {
      const { code, err } = await fusenet(['run', at('line'), '--input', at('x.npy'), '-o', at('y.npy'), ...batch])
      expect(code, err).toBe(0)
      expect(parseNpy(await readFile(at('y.npy')), 'y')).toEqual(f32([2, 3], [0.5, 1, 1.5, 2, 2.5, 3]))
    }
  })

  test('--json holds them', async () => {
    const said = await fusenet(['run', at('line'), '--input', `x=${at('x.npy')}`, '--json'])
    expect(json(said)).toEqual({ device: 'webgpu', samples: 2, outputs: { y: { shape: [2, 3], data: [0.5, 1, 1.5, 2, 2.5, 3] } } })
  })

  test('for people, the numbers of each row, of scores the largest', async () => {
    const { out } = await fusenet(['run', at('line'), '--input', at('x.npy')])
    expect(out).toContain('y [2, 3]\n  0: 0.500000 1 1.50000\n  1: 2 2.50000 3\n')
    await writeFile(at('scores.net'), 'net s { input x: f32[3] input t: class[3] y = x -> mul(2) output y = y loss = softmax_loss(y, t) }')
    expect((await fusenet(['run', at('scores.net'), '--input', at('x.npy')])).out).toMatch(/1: 2 \(\d+\) {2}1 \(\d+\) {2}0 \(\d+\)/)
  })

  test('weights are those of --weights', async () => {
    await writeFile(at('w.safetensors'), writeSafetensors(new Map([['w', f32([3], [1, 0, -1])], ['seen', f32([1], [0])]])))
    const said = await fusenet(['run', at('line'), '--weights', at('w.safetensors'), '--input', at('x.npy'), '--json'])
    expect(json(said).outputs.y.data).toEqual([2, 0, -6, 8, 0, -12])
  })

  test('weights that do not fit: all mismatches at once', async () => {
    await writeFile(at('bad.safetensors'), writeSafetensors(new Map([['w', f32([2], [1, 0])], ['W', f32([1], [0])]])))
    const { code, err } = await fusenet(['run', at('line'), '--weights', at('bad.safetensors'), '--input', at('x.npy')])
    expect(code).toBe(1)
    expect(err).toContain('w is [2], the net has [3]')
    expect(err).toContain('seen [1] is missing')
    expect(err).toContain('W [1] is not of this net')
  })

  test("weights under PyTorch's names: what to call them here", async () => {
    await writeFile(at('named.net'), 'net named { input x: f32[3] output y = x -> batch_norm as norm }')
    await writeFile(
      at('torch.safetensors'),
      writeSafetensors(new Map(['weight', 'bias', 'running_mean', 'running_var'].map((name) => [`norm.${name}`, f32([3], [1, 1, 1])]))),
    )
    const { code, err } = await fusenet(['run', at('named.net'), '--weights', at('torch.safetensors'), '--input', at('x.npy')])
    expect(code).toBe(1)
    expect(err).toContain('rename norm.weight to norm.gamma and norm.bias to norm.beta')
  })

  test('inputs that do not fit', async () => {
    await writeFile(at('wide.npy'), encodeNpy(f32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])))
    const { code, err } = await fusenet(['run', at('line'), '--input', at('wide.npy')])
    expect(code).toBe(1)
    expect(err).toContain('input x is [2, 4], the net takes [n, 3]')
  })

  test('a number a sample may have an axis or none, a map may be flat, as in data to train with', async () => {
    const values = [1, 2, 3, 4, 5, 6]
    const sums = async (net: string, shape: number[]): Promise<unknown> => {
      await writeFile(
        at('flat.net'),
        `net flat { input x: f32[${net}] output y = x -> reduce_sum(axes: [${net.includes(',') ? '1, 2' : '1'}]) }`,
      )
      await writeFile(at('flat.npy'), encodeNpy(f32(shape, values)))
      const said = await fusenet(['run', at('flat.net'), '--input', at('flat.npy'), '--json'])
      return said.code === 0 ? Object.values(json(said).outputs.y.data) : said.out
    }
    expect(await sums('1', [6])).toEqual(values)
    expect(await sums('3, 1', [2, 3])).toEqual([6, 15])
    expect(await sums('3', [2, 1, 3])).toEqual([6, 15])
    expect(await sums('2, 3', [3, 2])).toContain('input x is [3, 2], the net takes [n, 2, 3]')
  })

  test('a device that is not there: exit code 3', async () => {
    const { code, err } = await fusenet(['run', at('line'), '--input', at('x.npy'), '--device', 'wasm'])
    expect(code).toBe(3)
    expect(err).toMatch(/no plan for wasm.*compile it again/)
  })

  test('a bundle that was changed is refused', async () => {
    await writeBundle(fixture(), at('changed'))
    const file = at('changed/webgpu/infer.wgsl')
    await writeFile(file, `${await readFile(file, 'utf8')} `)
    const said = await fusenet(['run', at('changed'), '--input', at('x.npy'), '--json'])
    expect(said.code).toBe(1)
    expect(json(said).error.problems[0].message).toMatch(/was changed or belongs to another bundle/)
  })
})

describe('step', () => {
  // y = [.5, 1, 1.5, 2, 2.5, 3]; d = y[label] - 1 = -0.5 and 2; loss = (0.25 + 4) / 4; dw[c] = d * 2x / 2.
  const loss = 4.25 / 4
  const dw = [-0.5 * 1, 0, 2 * 6]
  test('gives loss, outputs, gradients and new parameters', async () => {
    const said = await fusenet(['step', at('line'), '--input', at('both.safetensors'), '-o', at('g.safetensors'), '--json'])
    expect(said.code, said.err).toBe(0)
    expect(json(said).loss).toBeCloseTo(loss, 6)
    const { tensors } = readSafetensors(await readFile(at('g.safetensors')))
    expect([...tensors.keys()].sort()).toEqual(['grad/w', 'grad/x', 'hit', 'loss', 'new/seen', 'new/w', 'y'])
    expect(Array.from(tensors.get('grad/w')!.data as Float32Array)).toEqual(dw)
    expect(tensors.get('grad/x')!.shape).toEqual([2, 3])
    expect(Array.from(tensors.get('new/w')!.data as Float32Array, (v) => v.toFixed(5))).toEqual(dw.map((d) => (0.25 - 0.1 * d).toFixed(5)))
    expect(Array.from(tensors.get('new/seen')!.data as Float32Array)).toEqual([1])
  })

  test('--solver-off gives gradients alone', async () => {
    const said = await fusenet(['step', at('line'), '--input', at('both.safetensors'), '--solver-off', '--json'])
    expect(Object.keys(json(said).results).sort()).toEqual(['grad/w', 'grad/x', 'hit', 'loss', 'y'])
    expect(json(said).results['grad/w'].data).toEqual(dw)
  })

  test('wants labels too', async () => {
    const { code, err } = await fusenet(['step', at('line'), '--input', `x=${at('x.npy')}`])
    expect(code).toBe(1)
    expect(err).toContain('input label [n] is missing')
  })
})

test.each([['run', 'line', '-o', '/proc/y.npy'], ['run', 'line', '-o', 'line/bundle.json/z.npy'], ['step', 'line', '-o', 'y=folder.npy'], [
  'compile',
  'line',
  '--format',
  'esm',
  '-o',
  '/proc/m.js',
]])('%s %s %s %s: a place is tried before the work', async (...argv) => {
  await mkdir('folder.npy', { recursive: true })
  // The input is not there: whoever looked for it first would say so.
  const { code, err } = await fusenet([...argv, ...(argv[0] === 'compile' ? [] : ['--input', 'nowhere.npy'])])
  expect(code).toBe(1)
  expect(err).toMatch(/^error: (\/proc|line\/bundle|folder).* cannot be written: /)
})

test('fmt keeps modes and links', async () => {
  await writeFile('secret.net', 'net   a { }\n')
  await chmod('secret.net', 0o640)
  await symlink('secret.net', 'link.net')
  const { code, out } = await fusenet(['fmt', 'link.net'])
  expect([code, out]).toEqual([0, 'link.net\n'])
  expect([(await lstat('link.net')).isSymbolicLink(), (await stat('secret.net')).mode & 0o777, await readFile('secret.net', 'utf8')])
    .toEqual([true, 0o640, 'net a {}\n'])
})

describe('train', () => {
  const train = (...more: string[]) => fusenet(['train', at('line'), '--data', at('data'), ...more])

  test('trains, tests, writes a bundle that evaluates to the same', async () => {
    const said = await train('--epochs', '2', '-o', at('trained'), '--json')
    expect(said.code, said.err).toBe(0)
    const events = lines(said)
    expect(events[0]).toMatchObject({ event: 'start', net: 'line', batch: 4, samples: 20, seed: 7, device: 'webgpu' })
    expect(events.filter((e) => e.event === 'step').map((e) => e.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    const done = events.at(-1)
    expect(done).toMatchObject({ event: 'done', bundle: at('trained') })
    expect(done.runs[0].test.count).toBe(6)
    expect((await readBundle(at('trained'))).weights!.get('seen')!.data[0]).toBe(10)
    const evaluated = json(await fusenet(['eval', at('trained'), '--data', at('data'), '--json']))
    expect(evaluated).toMatchObject({ part: 'test', stats: 'global', count: 6, metrics: done.runs[0].test.metrics })
    // No drafts are left beside it.
    expect((await readdir(folder)).filter((name) => /\.(tmp|old)$/.test(name))).toEqual([])
  })

  test('for people: plain lines where there is no terminal', async () => {
    const { out, err } = await train('--steps', '3')
    expect(err).toMatch(/line \(merged\) on .*data: 20 samples, batch 4, seed 7/)
    expect(err).toMatch(/3 steps in 0:\d\d, \d+ samples\/s/)
    expect(out).toMatch(/test on 6 samples: loss [\d.]+, hit [\d.]+/)
    expect(out + err).not.toContain('\u001b')
  })

  test('--limit takes the first samples; too few for a batch is told', async () => {
    expect(lines(await train('--limit', '8', '--epochs', '1', '--json'))[0].samples).toBe(8)
    const { code, err } = await train('--limit', '3')
    expect(code).toBe(1)
    expect(err).toContain('smaller batch')
  })

  test('--minutes ends it early; what was trained is tested and written', async () => {
    const said = await train('--epochs', '100000', '--minutes', '0.005', '-o', at('short'), '--json')
    expect(said.code, said.err).toBe(0)
    const done = lines(said).at(-1)
    expect(done.event).toBe('done')
    expect((await readBundle(at('short'))).weights!.get('seen')!.data[0]).toBe(done.runs[0].steps)
  })

  test('--seeds gives mean and deviation', async () => {
    const said = await train('--seeds', '2', '--steps', '2', '--json')
    const done = lines(said).at(-1)
    expect(done.runs.map((run: { seed: number }) => run.seed)).toEqual([7, 8])
    const losses = done.runs.map((run: any) => run.test.metrics.loss)
    expect(done.spread.loss.mean).toBeCloseTo((losses[0] + losses[1]) / 2, 10)
    // The sample deviation of two numbers.
    expect(done.spread.loss.deviation).toBeCloseTo(Math.abs(losses[0] - losses[1]) / Math.SQRT2, 10)
  })

  test('Ctrl-C snapshots and says how to resume; resumed, it ends as one that was not stopped', async () => {
    const whole = await train('--epochs', '3', '-o', at('whole'), '--json')
    expect(whole.code).toBe(0)
    const stopped = await fusenet(['train', at('line'), '--data', at('data'), '--epochs', '3', '--snapshot-dir', at('snaps'), '--json'], {
      interruptAt: /"step":4,/,
    })
    expect(stopped.code).toBe(130)
    const last = lines(stopped).at(-1)
    const [run] = await readdir(at('snaps'))
    expect(last).toMatchObject({ event: 'interrupted', resume: `fusenet train ${at('line')} --resume ${at('snaps')}/${run} -o out/line` })
    expect(last.step).toBeLessThan(15)
    const resumed = await fusenet(['train', at('line'), '--resume', at('snaps'), '-o', at('resumed'), '--json'])
    expect(resumed.code, resumed.err).toBe(0)
    expect(lines(resumed)[0].step).toBe(last.step)
    expect((await readBundle(at('resumed'))).weights).toEqual((await readBundle(at('whole'))).weights)
  })

  test('other files in the way of the bundle stay', async () => {
    const said = await fusenet(['train', at('line'), '--data', at('data'), '--steps', '1', '-o', at('data'), '--json'])
    expect(said.code).toBe(1)
    // Before the training, not after it.
    expect(json(said).error.message).toContain('name a new folder')
    expect(await readdir(at('data'))).toHaveLength(4)
  })

  test('a folder without snapshots', async () => {
    const { code, err } = await fusenet(['train', at('line'), '--resume', at('data')])
    expect(code).toBe(1)
    expect(err).toContain('holds no snapshots')
  })

  test('data that do not fit the net', async () => {
    await mkdir(at('wide'))
    for (const name of ['train', 't10k']) {
      await writeFile(at(`wide/${name}-images-idx3-ubyte`), idx([4, 2, 2], new Array(16).fill(0)))
      await writeFile(at(`wide/${name}-labels-idx1-ubyte`), idx([4], [0, 1, 2, 0]))
    }
    const { code, err } = await fusenet(['eval', at('line'), '--data', at('wide')])
    expect(code).toBe(1)
    expect(err).toMatch(/does not fit the net.*x.*\[n, 3\]/)
  })
})

describe('devices', () => {
  test('as JSON, the chosen one among them', async () => {
    const said = await fusenet(['devices', '--json'])
    const { chosen, devices } = json(said)
    expect(said.code).toBe(0)
    expect(devices.map((d: { name: string }) => d.name)).toEqual(['webgpu', 'webgpu', 'wasm', 'interpreter'])
    expect(chosen.device).toMatch(/^(webgpu|wasm)$/)
    expect(chosen.why).toBeTruthy()
  })

  test('as a table', async () => {
    const { out } = await fusenet(['devices'])
    expect(out).toMatch(/^\* +(webgpu|wasm)/m)
    expect(out).toMatch(/auto takes (webgpu|wasm)/)
    expect(out).toMatch(/WebAssembly (relaxed )?SIMD, \d+ thread/)
  })
})
