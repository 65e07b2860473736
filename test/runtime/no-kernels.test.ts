import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { open, wasm } from '../../runtime/index.ts'

/** Inference that computes nothing has a module without a kernel, and training's stands behind it. */
const TEXT = `net views { input x: f32[4] input t: f32[4] y = x -> reshape([2, 2]) -> dropout(0) output out = y loss = squared_loss(x, t) }
train { solver sgd(lr: 0.1) }`
const x = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
const t = Float32Array.of(0, 2, 1, 4, 5, 3, 7, 7)

test.each([1, 2])('training behind inference without kernels, %i threads', async (threads) => {
  const device = await wasm({ threads })
  for (const programs of [['infer', 'gradients'], ['infer'], ['gradients'], undefined]) {
    for (const style of ['merged', 'split'] as const) {
      const bundle = compile(TEXT, { targets: ['wasm'], style, ...(programs && { programs }) })
      const net = await open(bundle, { device, batch: 2 })
      if (!programs || programs.includes('infer')) expect([...(await net.run({ x })).out!]).toEqual([...x])
      if (!programs || programs.includes('gradients')) {
        const { loss, grads } = await net.step({ x, t }, { update: false })
        // Half the mean over the batch of the squared distance: (1 + 4 + 9 + 1) / 4.
        expect(loss).toBe(3.75)
        expect([...grads['x']!]).toEqual([0.5, 0, 1, 0, 0, 1.5, 0, 0.5])
      }
      net.close()
    }
  }
  device.close()
})

/** Inference has no kernel; or one of a single task, which no worker does; or several tasks, then such a kernel. */
test.each([
  ['x', 1],
  ['few -> fc(1, bias: false, weight_init: constant(0.25))', 2],
  ['x -> global_avg_pool -> mul(2) -> fc(1, bias: false, weight_init: constant(0.125))', 4],
])('a run of %s leaves no worker behind that would compute in the next', async (layers, first) => {
  const text = `net ones { input x: f32[16, 64, 64] input few: f32[8] output out = ${layers} loss = sum(mul(x, x)) }`
  const device = await wasm({ threads: 4 })
  const net = await open(compile(text, { targets: ['wasm'] }), { device, batch: 4 })
  const [x, few] = [4 * 16 * 64 * 64, 4 * 8].map((length) => new Float32Array(length).fill(1)) as [Float32Array, Float32Array]
  for (let i = 0; i < 30; i++) {
    // Workers have gone to sleep: they wake when the next program has begun.
    await setTimeout(5)
    expect((await net.run({ x, few })).out![0]).toBe(first)
    const { loss, grads } = await net.step({ x, few }, { update: false })
    expect([loss, grads['x']!.every((v) => v === 2)]).toEqual([x.length, true])
  }
  net.close()
  device.close()
})
