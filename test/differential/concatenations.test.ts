import { expect, test } from 'vitest'
import { interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm } from '../../runtime/index.ts'
import { compiled } from '../support/compiled.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/** Values that are concatenated and read elsewhere too, which then live in a part of another map: outputs, gradients and two updates against the float64 interpreter. */
const BATCH = 5
const rows: readonly (readonly [string, string])[] = [
  [
    'a map that grows',
    `a = x -> conv(4, 3, pad: 1)
  b = concat(a, a -> batch_norm -> relu -> conv(3, 3, pad: 1))
  c = concat(b, b -> batch_norm -> relu -> conv(5, 3, pad: 1))
  z = concat(c -> batch_norm -> relu -> conv(2, 3, pad: 1), c) -> batch_norm -> relu -> fc(3)`,
  ],
  [
    'parts read behind a stride, and one joined twice',
    `a = x -> conv(6, 3, pad: 1) -> batch_norm
  b = a -> relu -> conv(3, 1)
  c = concat(b, a, b)
  z = concat(c -> conv(4, 3, stride: 2, pad: 1), b -> conv(3, 1, stride: 2)) -> batch_norm -> fc(3)`,
  ],
  [
    'a sum of what is joined',
    `a = x -> conv(8, 3, pad: 1)
  b = add(a -> batch_norm -> relu -> conv(8, 3, pad: 1), a)
  c = concat(b, a) -> batch_norm -> relu -> conv(8, 1)
  z = concat(add(c, b), c, x) -> batch_norm -> sigmoid -> global_avg_pool -> fc(3)`,
  ],
  [
    'along the height and the width, with statistics of what is joined',
    `a = x -> conv(4, 3, pad: 1)
  b = a -> batch_norm -> silu -> conv(4, 3, pad: 1)
  c = concat(concat(a, b, axis: 2), concat(b, a, axis: 2), axis: 3)
  z = concat(b -> batch_norm -> relu, slice(slice(c, 2, 4, 13), 3, 2, 9)) -> fc(3)`,
  ],
  [
    'across the net',
    `a = x -> conv(4, 3, pad: 1) -> batch_norm -> relu
  b = a -> max_pool(2, round: ceil) -> conv(6, 3, pad: 1) -> batch_norm -> relu -> deconv(3, 2, stride: 2)
  c = concat(a, slice(slice(b, 2, 0, 9), 3, 0, 7)) -> conv(4, 3, pad: 1) -> batch_norm
  z = c -> relu -> fc(3)`,
  ],
]

test.each(rows)('%s', async (_, layers) => {
  const text = `net joined {
  input x: f32[3, 9, 7]
  input label: class[3]
  ${layers}
  output y = z
  loss = softmax_loss(z, label)
}
train { solver sgd(lr: 0.05, momentum: 0.9) }
`
  const inputs = { x: normals(BATCH * 189, 1), label: labels(BATCH, 3, 2) }
  const programs = ['gradients', 'infer', 'train']
  const results = async (style: 'merged' | 'split', device: Device): Promise<Readonly<Record<string, ArrayLike<number>>>> => {
    const net = await open(compiled(text, { style, targets: targetsOf(device), programs }), { device, batch: BATCH, seed: 3, programs })
    const { grads } = await net.step(inputs, { update: false })
    const { y } = await net.run({ x: inputs.x })
    for (let k = 0; k < 2; k++) await net.trainStep(inputs)
    const { y: later } = await net.run({ x: inputs.x })
    net.close()
    return { ...grads, y: y!, later: later! }
  }
  const [exact, ...cpus] = [interpreter(), await wasm({ threads: 1 }), await wasm({ threads: 2 })]
  const right = await results('split', exact)
  const largest = Math.max(...Object.values(right).flatMap((values) => Array.from(values, (v) => Math.abs(v))))
  for (const [device, allowed] of [[exact, 1e-10], [cpus[0]!, 1e-4], [cpus[1]!, 1e-4]] as const) {
    const got = await results('merged', device)
    for (const [name, values] of Object.entries(right)) {
      const apart = Math.max(...Array.from(values, (v, i) => Math.abs(v - got[name]![i]!)))
      expect(apart / largest, `${device.name} ${name}`).toBeLessThan(allowed)
    }
  }
  for (const device of [exact, ...cpus]) device.close()
})
