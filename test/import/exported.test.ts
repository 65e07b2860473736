import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { bytesSource } from '../../import/byte-source.ts'
import { importModel, writeNet } from '../../import/index.ts'
import type { ModelNet } from '../../import/model-net.ts'
import { open, readSafetensors } from '../../runtime/index.ts'

/** Small nets as PyTorch exports them, with its outputs and gradients: `exported/make.py` makes them. */
const NETS: readonly { readonly name: string; readonly has: readonly string[]; readonly hasNot?: readonly string[] }[] = [
  { name: 'residual', has: ['add(', 'global_avg_pool', 'fc(5)'], hasNot: ['flatten'] },
  { name: 'residual-folded', has: ['add(', 'fc(5)'], hasNot: ['batch_norm'] },
  { name: 'mobile', has: ['hard_swish', 'hard_sigmoid', 'clip(0, 6)', 'groups: 8', 'global_avg_pool'], hasNot: ['reduce_mean', 'div('] },
  { name: 'mobile-14', has: ['hard_swish', 'hard_sigmoid', 'clip(0, 6)'], hasNot: ['reduce_mean'] },
  { name: 'shuffle', has: ['silu', 'slice(1, 0, 4)', 'reshape([2, 4, 4, 4])', 'transpose([0, 2, 1, 3, 4])'], hasNot: ['sigmoid'] },
  { name: 'shuffle-folded', has: ['silu', 'slice(1, 0, 4)', 'transpose([0, 2, 1, 3, 4])'], hasNot: ['sigmoid'] },
  { name: 'convnext', has: ['layer_norm(end: 1', 'conv(8, 1)', 'gelu', 'scale(bias: false)'], hasNot: ['transpose', 'erf', 'reduce_mean'] },
  { name: 'convnext-17', has: ['layer_norm(end: 1', 'conv(8, 1)', 'gelu', 'scale(bias: false)'], hasNot: ['transpose', 'erf'] },
  { name: 'unet', has: ['deconv(6, 2, stride: 2)', 'resize(', 'align_corners'] },
  {
    name: 'norms',
    has: ['group_norm(4', 'mish', 'instance_norm', 'prelu', 'mode: reflect', 'layer_norm(', 'gelu(approximate: tanh)', 'round: ceil'],
    hasNot: ['erf', 'pow'],
  },
  { name: 'inception', has: ['normalize(', 'avg_pool(3, stride: 1, pad: 1', 'concat('], hasNot: ['slice', ' pad('] },
  { name: 'alex', has: ['lrn(alpha: 0.5, k: 2)', 'avg_pool([4, 1]'], hasNot: ['avg_pool([5, 1]'] },
]

function file(name: string): Uint8Array {
  return readFileSync(new URL(`exported/${name}`, import.meta.url))
}

/** The largest difference, as a part of the largest number that is wanted. */
function difference(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length)
  let [scale, most] = [0, 0]
  for (let i = 0; i < wanted.length; i++) {
    scale = Math.max(scale, Math.abs(wanted[i]!))
    // NaN stays.
    if (!(Math.abs(got[i]! - wanted[i]!) <= most)) most = Math.abs(got[i]! - wanted[i]!)
  }
  return most / scale
}

/** With half the squared distance of its output to `target` as a loss. */
function withLoss(net: ModelNet, shape: readonly number[]): ModelNet {
  const { value } = net.results[0]!
  const loss = { op: 'squared_loss', inputs: [value, 'target'], arguments: {}, output: 'the loss', from: [] }
  return {
    ...net,
    inputs: [...net.inputs, { value: 'target', shape }],
    layers: [...net.layers, loss],
    results: [...net.results, { kind: 'loss', name: 'loss', value: loss.output }],
  }
}

describe('nets that PyTorch exported', () => {
  test.each(NETS)('$name', async ({ name, has, hasNot = [] }) => {
    const reference = new Map(
      [...readSafetensors(file(`${name}.safetensors`)).tensors].map(([key, { shape, data }]) =>
        [key, { shape, data: data as Float32Array<ArrayBuffer> }] as const
      ),
    )
    const [image, logits, target] = ['image', 'logits', 'target'].map((key) => reference.get(key))
    const model = await importModel(bytesSource(`${name}.onnx`, file(`${name}.onnx`)))
    const written = writeNet(target ? withLoss(model, target.shape.slice(1)) : model)
    for (const part of has) expect(written.text).toContain(part)
    for (const part of hasNot) expect(written.text).not.toContain(part)

    const weights = new Map(written.tensors.map((one) => [one.name, { shape: one.tensor.shape, data: one.tensor.values() }]))
    const programs = target ? ['infer', 'step', 'gradients'] : ['infer']
    const net = await open(compile(written.text, { targets: [], programs }), { device: interpreter(), batch: 2, weights, programs })
    const outputs = await net.run({ image: image!.data })
    expect(difference(outputs['logits']!, logits!.data)).toBeLessThan(2e-6)
    if (!target) return

    const { loss, grads } = await net.step({ image: image!.data, target: target.data }, { update: false })
    expect(loss / reference.get('loss')!.data[0]! - 1).toBeCloseTo(0, 6)
    // Parameters are told by their values, which are all different.
    const theirs = [...reference].filter(([key]) => key.startsWith('weight.'))
    const learned = Object.entries(grads).filter(([key]) => weights.has(key))
    expect(learned).toHaveLength(theirs.length)
    const largest = Math.max(...theirs.map(([key]) => Math.max(...reference.get(key.replace('weight', 'gradient'))!.data.map(Math.abs))))
    for (const [key, gradient] of learned) {
      const own = weights.get(key)!.data
      const [theirKey] = theirs.find(([, { data }]) => data.length === own.length && own.every((v, i) => v === data[i])) ?? []
      expect(theirKey, `a twin of ${key}`).toBeDefined()
      const wanted = reference.get(theirKey!.replace('weight', 'gradient'))!.data
      // The bias of a linear batch_norm in front of another learns nothing: its gradient is rounding.
      const most = Math.max(...wanted.map(Math.abs))
      if (most > 1e-6 * largest) expect(difference(gradient, wanted), key).toBeLessThan(1e-5)
    }
  })
})
