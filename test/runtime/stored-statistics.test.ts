import { afterAll, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { arrays, InputError, open, wasm } from '../../runtime/index.ts'

/* Training steps with stored statistics of which there are none: sums over a factor of 0. */

const device = await wasm({ threads: 1 })
afterAll(() => device.close())

const bundle = compile(
  `net n { input x: f32[2, 3, 3] input label: class[2]
    logits = x -> conv(3, 2) -> batch_norm(stats: caffe) as bn -> relu -> fc(2) loss = softmax_loss(logits, label) }
  train { batch 4 solver sgd(lr: 0.01) }`,
  { targets: ['wasm'], programs: ['default', 'train/global', 'step/global', 'gradients/global'] },
)
const inputs = { x: Float32Array.from({ length: 72 }, (_, i) => Math.sin(i * 1.3)), label: Int32Array.of(0, 1, 1, 0) }
const none = /^bn: there are no stored statistics to train with, bn\.scale_factor is 0/

test('are refused by every way to train, until a batch has given some or weights bring them', async () => {
  const net = await open(bundle, { device, seed: 1 })
  const data = arrays({
    x: { shape: [2, 3, 3], type: 'f32', data: inputs.x },
    label: { shape: [], type: 'i32', classes: 2, data: inputs.label },
  })
  const before = await net.snapshot()
  const ways = [
    () => net.step(inputs, { stats: 'global' }),
    () => net.step(inputs, { stats: 'global', update: false }),
    () => net.trainStep(inputs, { stats: 'global' }),
    () => net.train(data, { stats: 'global', steps: 1 }).next(),
  ]
  for (const way of ways) {
    const error = await way().catch((e: Error) => e)
    expect(error).toBeInstanceOf(InputError)
    expect((error as Error).message).toMatch(none)
  }
  // Nothing has moved.
  expect((await net.snapshot()).tensors).toEqual(before.tensors)
  expect(net.steps).toBe(0)

  // Calls that nobody awaits are done in their order, so this one finds what the one before it leaves.
  const [, later] = await Promise.all([net.trainStep(inputs), net.trainStep(inputs, { stats: 'global' })])
  expect(Number.isFinite(await later.loss)).toBe(true)
  for (const way of ways.slice(0, 3)) await way()

  await net.setParameters(new Map([...before.tensors].filter(([name]) => !name.startsWith('history/'))))
  await expect(net.step(inputs, { stats: 'global' })).rejects.toThrow(none)
  await net.step(inputs)
  net.close()
})

test('of frozen layers count where others learn theirs', async () => {
  const net = await open(bundle, { device, seed: 1 })
  await net.freeze(['bn'])
  await expect(net.step(inputs)).rejects.toThrow(none)
  net.close()
})
