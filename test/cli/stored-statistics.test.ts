import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readBundle } from '../../runtime/node.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import type { TensorData } from '../../bundle/format.ts'
import { fusenet, json } from './helper.ts'

/** `--stats global` of train and step: what is stored stays, what is learned moves, and bundles without these programs are compiled again. */
let folder: string
const at = (name: string): string => join(folder, name)
const NET = `net small {
  input image: f32[1, 2, 2]
  input label: class[2]
  logits = image -> conv(3, 2) as c -> batch_norm as b -> flatten -> fc(2) as f
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1) batch 4 epochs 1 accumulate 2 }
`
const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-stats-'))
  await writeFile(at('small.net'), NET)
  await mkdir(at('data'))
  for (const [part, count] of [['train', 16], ['t10k', 4]] as const) {
    await writeFile(at(`data/${part}-images-idx3-ubyte`), idx([count, 2, 2], Array.from({ length: 4 * count }, (_, i) => (i * 37) % 256)))
    await writeFile(at(`data/${part}-labels-idx1-ubyte`), idx([count], Array.from({ length: count }, (_, i) => i % 2)))
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const numbers = (tensors: ReadonlyMap<string, TensorData> | undefined, name: string): number[] =>
  Array.from(tensors!.get(name)!.data as Float32Array)

test('train --stats global learns on a bundle that was compiled without it, and keeps what is stored', async () => {
  const common = ['--data', `idx:${at('data')}`, '--device', 'wasm', '--threads', '1']
  expect((await fusenet(['train', at('small.net'), ...common, '-o', at('first')])).code).toBe(0)
  const said = await fusenet(['train', at('first'), ...common, '--stats', 'global', '--batch', '1', '--epochs', '2', '-o', at('second')])
  expect(said.err).not.toContain('error')
  expect(said.code).toBe(0)
  const [first, second] = [(await readBundle(at('first'))).weights, (await readBundle(at('second'))).weights]
  for (const name of ['b.running_mean', 'b.running_var']) expect(numbers(second, name), name).toEqual(numbers(first, name))
  for (const name of ['c.weight', 'c.bias', 'b.gamma', 'b.beta', 'f.weight'])
    expect(numbers(second, name), name).not.toEqual(numbers(first, name))
  expect(numbers(first, 'b.running_mean')).not.toEqual([0, 0, 0])
})

test('step --stats global gives the gradient of a bias in front of normalization, and new statistics that are the old ones', async () => {
  const tensor = (shape: number[], values: number[]): TensorData => ({ shape, type: 'f32', data: Float32Array.from(values) })
  await writeFile(
    at('one.safetensors'),
    writeSafetensors(
      new Map<string, TensorData>([['image', tensor([1, 1, 2, 2], [1, 2, 3, 4])], ['label', {
        shape: [1],
        type: 'i32',
        data: Int32Array.of(1),
      }]]),
    ),
  )
  const step = async (...more: string[]) => {
    const said = await fusenet([
      'step',
      at('small.net'),
      '--input',
      at('one.safetensors'),
      '--device',
      'interpreter',
      '-o',
      at('out.safetensors'),
      '--json',
      ...more,
    ])
    expect(said.code, said.err).toBe(0)
    return {
      loss: json(said).loss as number,
      tensors: readSafetensors(new Uint8Array(await readFile(at('out.safetensors'))), 'out').tensors,
    }
  }
  const { tensors } = await step('--stats', 'global')
  expect(Math.max(...numbers(tensors, 'grad/c.bias').map(Math.abs))).toBeGreaterThan(1e-3)
  expect(numbers(tensors, 'new/b.running_mean')).toEqual([0, 0, 0])
  const alone = await step('--stats', 'global', '--solver-off')
  expect(numbers(alone.tensors, 'grad/c.bias')).toEqual(numbers(tensors, 'grad/c.bias'))
  expect((await fusenet(['step', at('small.net'), '--input', at('one.safetensors'), '--stats', 'globel'])).code).toBe(2)
})

test('a layer that keeps no statistics is underlined', async () => {
  await writeFile(at('none.net'), NET.replace('batch_norm as b', 'batch_norm(stats: batch) as b'))
  const { code, err } = await fusenet(['train', at('none.net'), '--data', `idx:${at('data')}`, '--stats', 'global', '--device', 'wasm'])
  expect(code).toBe(1)
  expect(err).toContain(
    'b keeps no statistics (stats: batch), so it cannot be trained with stored ones: train/global (program/no-statistics)',
  )
  expect(err).toContain('none.net:4:')
})

test('a training with stored statistics that were never made is refused where these are sums over 0, and told elsewhere', async () => {
  await writeFile(at('sums.net'), NET.replace('batch_norm as b', 'batch_norm(stats: caffe) as b'))
  const train = (net: string, ...more: string[]) =>
    fusenet([
      'train',
      at(net),
      '--data',
      `idx:${at('data')}`,
      '--device',
      'wasm',
      '--threads',
      '1',
      ...(more.includes('-o') ? [] : ['-o', at('never')]),
      ...more,
    ])
  const refused = await train('sums.net', '--stats', 'global')
  expect([refused.code, refused.err]).toEqual([
    1,
    expect.stringContaining('b: there are no stored statistics to train with, b.scale_factor is 0'),
  ])
  expect((await train('small.net', '--stats', 'global')).err).toMatch(
    /stored statistics were never made, .*: b; train with --stats batch first/,
  )
  expect((await train('sums.net', '-o', at('made'))).code).toBe(0)
  const again = await train('sums.net', '--weights', at('made'), '--stats', 'global')
  expect([again.code, again.err]).toEqual([0, expect.not.stringContaining('never made')])
})
