import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { format } from '../../dsl/index.ts'
import { exportOnnx, type OnnxOptions } from '../../export/index.ts'
import { bytesSource } from '../../import/byte-source.ts'
import { readOnnx } from '../../import/onnx/read.ts'
import { writeNet } from '../../import/write/write-net.ts'
import { bytesOf, trained } from './onnx-runtime.ts'

/** What an import makes of the model that an export wrote; without the comments that say how to train on. */
function thereAndBack(text: string, options: OnnxOptions = {}, weightsOf = trained) {
  const bundle = compile(text, { targets: [], programs: ['infer'] })
  const weights = weightsOf(bundle)
  const model = readOnnx(bytesSource('net.onnx', bytesOf(exportOnnx({ ...bundle, weights }, options))))
  const written = writeNet({ ...model, name: bundle.manifest.name })
  const back = new Map(written.tensors.map(({ name, tensor }) => [name, tensor]))
  return { text: written.text.replace(/^ *\/\/.*\n/gm, '').replace(/\n+(\}\n)\n*/g, '\n$1'), weights, back, notes: model.notes }
}

const isSame = (a: Float32Array, b: Float32Array): boolean => a.length === b.length && a.every((x, i) => Object.is(x, b[i]))

const NETS: readonly string[] = [
  `net one {
  input image: f32[3, 12, 12]

  logits = image
    -> normalize(mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616])
    -> conv(8, 3, stride: 2, pad: 1, bias: false) as conv1
    -> batch_norm(eps: 1e-5)                      as bn1
    -> relu
    -> max_pool(3, stride: 2, round: ceil)
    -> conv(8, 3, pad: 2, dilation: 2, groups: 4) as conv2
    -> batch_norm(affine: false)                  as bn2
    -> leaky_relu(slope: 0.2)
    -> deconv(4, 2, stride: 2)                    as up
    -> prelu                                      as slopes
    -> global_avg_pool
    -> fc(10)                                     as head

  output prob = softmax(logits)
}
`,
  `net two {
  input x: f32[4, 8, 8]
  input gate: f32[4]

  mish_1 = x
    -> conv(8, 3, pad: 1)    as c1
    -> group_norm(2)         as gn
    -> silu
    -> conv(4, 1)            as c2
    -> instance_norm         as norm
    -> gelu
    -> layer_norm(axis: 3)   as rows
    -> mish
  reshape_1 = gate -> fc(4) as squeeze -> hard_sigmoid -> reshape([4, 1, 1])

  output a = mul(mish_1, reshape_1) -> avg_pool(2) -> upsample(2) -> pad(1) -> max_pool(2)
  output b = mish_1 -> reduce_l2([2, 3], keep: false) -> clip(0, 6)
  output c = where(gate, 0.5, gate)
}
`,
  `net three {
  input x: f32[4, 8, 8]

  logits = x
    -> conv(8, 3, pad: 1)                 as c1
    -> batch_norm(stats: batch)           as bn
    -> relu
    -> fc(6)                              as hidden
    -> batch_norm(eps: 0.1, stats: batch) as bn2
    -> fc(3)                              as head

  output y = logits
}
`,
]

test.each(NETS)('a net comes back as it was: text and weights, to the bit: %#', (text) => {
  const { text: back, weights, back: tensors, notes } = thereAndBack(text)
  expect(back).toBe(format(text))
  expect(notes).toEqual([])
  expect([...tensors.keys()].sort()).toEqual([...weights.keys()].sort())
  for (const [name, { data, shape }] of weights) {
    expect(tensors.get(name)!.shape, name).toEqual(shape)
    expect(isSame(tensors.get(name)!.values(), data as Float32Array), name).toBe(true)
  }
})

test.each(['mnist', 'cifar10_quick', 'cifar10_full_sigmoid_bn'])('weights of %s come back to the bit', (name) => {
  const text = readFileSync(join(import.meta.dirname, `../../samples/${name}.net`), 'utf8')
  const { weights, back, text: read } = thereAndBack(text)
  expect(read).toContain(/as (conv1)/.exec(text)![1])
  for (const [name, { data }] of weights) {
    // Caffe's sums are exported as what they come to.
    if (/scale_factor|running/.test(name) && text.includes('stats: caffe')) continue
    expect(isSame(back.get(name)!.values(), data as Float32Array), name).toBe(true)
  }
})

test('statistics far from 0 come back, though their mean is taken before', () => {
  const text = 'net one {\n  input x: f32[3, 4, 4]\n\n  output y = x -> max_pool(2) -> batch_norm(eps: 1e-5) as bn\n}\n'
  const far: typeof trained = (bundle) =>
    new Map(
      [...trained(bundle)].map((
        [name, tensor],
      ) => [name, name === 'bn.running_mean' ? { ...tensor, data: Float32Array.of(900, -1000, 0.5) } : tensor]),
    )
  const { text: again, weights, back } = thereAndBack(text, {}, far)
  expect(again).toBe(text)
  for (const [name, { data }] of weights) expect(isSame(back.get(name)!.values(), data as Float32Array), name).toBe(true)
})

test('names of classes come back', () => {
  const text =
    'net one { input x: f32[4] input label: class[circle, square] y = x -> fc(2) output prob = softmax(y) loss = softmax_loss(y, label) }'
  const bundle = compile(text, { targets: [], programs: ['infer'] })
  const model = readOnnx(bytesSource('net.onnx', bytesOf(exportOnnx({ ...bundle, weights: trained(bundle) }))))
  expect(model.results[0]!.classes).toEqual(['circle', 'square'])
})
