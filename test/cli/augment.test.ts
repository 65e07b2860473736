import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { arrays, type Net, open, wasm } from '../../runtime/index.ts'
import { loadDataset, readBundle } from '../../runtime/node.ts'
import { fusenet, json } from './helper.ts'

/** The file's `augment` is done by whoever trains and evaluates, the command and the library alike. */
let folder: string
const at = (name: string): string => join(folder, name)
const netOf = (augment: string): string =>
  `net small {
  input image: f32[1, 4, 4]
  input label: class[2]
  x = image -> normalize(mean: 0.5, std: 0.25)
  logits = x -> conv(3, 2) as c -> relu -> fc(2) as f
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
  metric total = sum(x)
}
train { ${augment} solver sgd(lr: 0.05) batch 4 epochs 3 seed 5 }
`
const NET = netOf('augment mirror, crop(4, pad: 1)')
const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-augment-'))
  await writeFile(at('small.net'), NET)
  await mkdir(at('data'))
  for (const [part, count] of [['train', 16], ['t10k', 6]] as const) {
    await writeFile(at(`data/${part}-images-idx3-ubyte`), idx([count, 4, 4], Array.from({ length: 16 * count }, (_, i) => (i * 37) % 256)))
    await writeFile(at(`data/${part}-labels-idx1-ubyte`), idx([count], Array.from({ length: count }, (_, i) => i % 2)))
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const weightsOf = async (net: Net): Promise<Record<string, number[]>> =>
  Object.fromEntries([...await net.parameters()].map(([name, { data }]) => [name, Array.from(data as Float32Array)]))
const data = (split: 'train' | 'test') => loadDataset({ call: 'idx', args: { path: at('data') } }, { split })

test('a training by the library is a training by the command, bit by bit; without augment it is another', async () => {
  expect(
    (await fusenet(['train', at('small.net'), '--data', `idx:${at('data')}`, '--device', 'wasm', '--threads', '1', '-o', at('out')])).code,
  ).toBe(0)
  const want = Object.fromEntries(
    [...(await readBundle(at('out'))).weights!].map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  )
  const device = await wasm({ threads: 1 })
  const bundle = compile(NET, { targets: ['wasm'] })
  const trained = async (augment?: boolean, parts: readonly number[] = [3]): Promise<Record<string, number[]>> => {
    let net = await open(bundle, { device })
    for (const epochs of parts) {
      for await (const _ of net.train(await data('train'), { epochs, augment }));
      const snapshot = await net.snapshot()
      net.close()
      net = await open(bundle, { device })
      await net.restore(snapshot)
    }
    const weights = await weightsOf(net)
    net.close()
    return weights
  }
  expect(await trained()).toEqual(want)
  expect(await trained(true, [1, 2])).toEqual(want)
  const plain = await trained(false)
  expect(plain['c.weight']).not.toEqual(want['c.weight'])
  expect(await trained(false, [2, 1])).toEqual(plain)
  // The same numbers as a file without the line.
  const without = await open(compile(netOf(''), { targets: ['wasm'] }), { device })
  for await (const _ of without.train(await data('train')));
  expect(await weightsOf(without)).toEqual(plain)
  without.close()

  const net = await open(bundle, { device })
  for await (const _ of net.train(await data('train'), { epochs: 1 }));
  const other = await open(bundle, { device })
  await other.restore(await net.snapshot())
  await expect(other.train(await data('train'), { epochs: 1, augment: false }).next()).rejects.toThrow(
    /augment of train is false here, and true in that training/,
  )
  await expect(other.train(await data('train'), { augment: 'no' as unknown as boolean }).next()).rejects.toThrow(
    'train: augment "no": true or false is wanted',
  )
  net.close()
  other.close()
  device.close()
})

test('an evaluation by the library sees what one by the command sees, and run sees it too', async () => {
  const said = json(await fusenet(['eval', at('small.net'), '--data', `idx:${at('data')}`, '--device', 'interpreter', '--json']))
  const net = await open(compile(NET, { targets: [] }), { device: interpreter() })
  const found = await net.evaluate(await data('test'))
  expect(found.metrics).toEqual(said.metrics)
  net.close()
  const four = await open(compile(NET.replace('metric total', 'output x = x\n  metric total'), { targets: [] }), {
    device: interpreter(),
    batch: 1,
  })
  const image = Float32Array.from({ length: 16 }, () => 1)
  // (1 - 0.5) / 0.25, sixteen times.
  expect(
    (await four.evaluate(
      arrays({ image: { shape: [1, 4, 4], type: 'f32', data: image }, label: { shape: [], type: 'i32', data: Int32Array.of(0) } }),
    )).metrics['total'],
  ).toBe(32)
  expect([...(await four.run({ image })).x!]).toEqual(new Array(16).fill(2))
  four.close()
})

test('what is larger than the input is cropped to its middle where it is evaluated, by chance where it is trained', async () => {
  const net = await open(compile(netOf('augment crop(4)').replace('metric total = sum(x)', 'metric total = sum(image)'), { targets: [] }), {
    device: interpreter(),
    batch: 2,
  })
  // 1 in the middle four by four of six by six.
  const image = Float32Array.from({ length: 72 }, (_, i) => {
    const [y, x] = [Math.floor((i % 36) / 6), i % 6]
    return y > 0 && y < 5 && x > 0 && x < 5 ? 1 : 0
  })
  const dataset = arrays({
    image: { shape: [1, 6, 6], type: 'f32', data: image },
    label: { shape: [], type: 'i32', data: Int32Array.of(0, 1) },
  })
  expect((await net.evaluate(dataset)).metrics['total']).toBe(32)
  await expect(net.evaluate(dataset, { augment: false })).rejects.toThrow(/does not fit/)
  for await (const { loss } of net.train(dataset, { steps: 2 })) expect(loss).toBeGreaterThan(0)
  net.close()
})
