import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, CompileError, inspect, interpreter } from '../../compiler/index.ts'
import { arrays, type Bundle, type Device, type Net, open, type TensorData, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/** Frozen parameters: what they are keeps its bits, what still learns moves as in the net that learns all, and nobody computes what only they need. */

const exact = interpreter()
const devices: Device[] = []
beforeAll(async () => {
  devices.push(await wasm({ threads: 1 }), await webgpu({ gpu: await softwareGpu() }))
})
afterAll(() => {
  for (const device of devices) device.close()
})

/** Two blocks with normalizations of both spellings, a head behind them; momentum and decay that would move what is frozen. */
const netOf = (stats = 'moving', solver = 'sgd(lr: 0.05, momentum: 0.9, weight_decay: 0.01)'): string => `
net small {
  input x: f32[2, 6, 6]
  input label: class[3]
  a = x -> conv(4, 3) as c -> batch_norm(stats: ${stats}, eps: 1e-3) as b -> relu
  d = a -> conv(4, 3, pad: 1, bias: false) as e -> batch_norm(stats: ${stats}, affine: false, eps: 1e-3) as f -> scale as s -> relu -> max_pool(2)
  logits = d -> fc(5) as g -> tanh -> fc(3) as i
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { batch 4  solver ${solver} }`
/** All up to the scale of the second block. */
const BODY = ['*', '!g', '!i']

const inputs = (seed = 1, batch = 4) => ({ x: normals(72 * batch, seed), label: labels(batch, 3, seed + 50) })

/** Numbers for all parameters, none of them where it starts; variances and counts positive. */
function numbersOf({ manifest }: Pick<Bundle, 'manifest'>): Map<string, TensorData> {
  return new Map(manifest.parameters.map(({ name, shape }, i) => {
    const drawn = normals(shape.reduce((product, dim) => product * dim, 1), 300 + i)
    return [name, {
      shape,
      type: 'f32',
      data: Float32Array.from(drawn, (v) => (/running_var|count|scale_factor/.test(name) ? 0.5 + Math.abs(v) : 0.5 * v)),
    }]
  }))
}

async function opened(
  device: Device,
  text: string,
  options: { style?: 'merged' | 'split'; freeze?: readonly string[]; programs?: readonly string[] } = {},
): Promise<Net> {
  const { programs = ['step', 'train', 'eval'], ...rest } = options
  const bundle = compile(text, { ...rest, targets: targetsOf(device), programs: [...programs, 'infer'] })
  return open({ ...bundle, weights: numbersOf(bundle) }, { device, batch: 4, programs: [...programs, 'infer'] })
}
const bits = (tensor: TensorData): number[] => [...new Uint32Array((tensor.data as Float32Array).slice().buffer)]

describe.each([0, 1])('compiled on device %i', (index) => {
  test.each(['merged', 'split'] as const)('%s: the head moves as in float64, the body keeps its bits', async (style) => {
    const device = devices[index]!
    const net = await opened(device, netOf(), { style, freeze: BODY })
    const reference = await opened(exact, netOf(), { style: 'split', freeze: BODY })
    const before = await net.parameters()
    for (let t = 1; t <= 3; t++) {
      const [mine, want] = [await (await net.trainStep(inputs(t))).loss, await (await reference.trainStep(inputs(t))).loss]
      expect(mine).toBeCloseTo(want, 5)
    }
    const [after, want] = [await net.parameters(), await reference.parameters()]
    for (const [name, tensor] of after) {
      if (/^[gi]\./.test(name)) tensor.data.forEach((v, k) => expect(v, name).toBeCloseTo(want.get(name)!.data[k] as number, 5))
      else expect(bits(tensor), name).toEqual(bits(before.get(name)!))
    }
    net.close()
    reference.close()
  })
})

describe('compiled', () => {
  test('what still learns has the gradients of the net that learns all with stored statistics, and nothing else has any', async () => {
    for (const freeze of [BODY, ['c', 'b'], ['*.weight', '!i', '*.running_*'], ['b.gamma', '*.running_*']]) {
      const frozen = await opened(exact, netOf(), { freeze, programs: ['step'] })
      const whole = await opened(exact, netOf(), { style: 'split', programs: ['step/global'] })
      const part = freeze.includes('*.running_*') || freeze === BODY
      const [mine, want] = [await frozen.step(inputs()), await whole.step(inputs(), { stats: 'global' })]
      const learned = frozen.manifest.parameters.filter((p) => p.trainable).map((p) => p.name)
      expect(Object.keys(mine.grads).sort(), String(freeze)).toEqual([...learned, 'x'].sort())
      if (part) {
        for (const name of [...learned, 'x'])
          mine.grads[name]!.forEach((v, k) => expect(v, `${freeze}: ${name}`).toBeCloseTo(want.grads[name]![k]!, 9))
      }
      frozen.close()
      whole.close()
    }
  })
  test.each(['moving', 'cumulative', 'caffe', 'batch'])(
    'statistics (%s) of a frozen layer stay and are used; those of another move',
    async (stats) => {
      const net = await opened(exact, netOf(stats), { freeze: ['c', 'b'] })
      const before = await net.parameters()
      const first = await net.run({ x: inputs().x })
      for (let t = 1; t <= 2; t++) await (await net.trainStep(inputs(t))).loss
      const after = await net.parameters()
      for (const [name, { data }] of after) {
        if (/^[cb]\./.test(name)) expect([...data], name).toEqual([...before.get(name)!.data])
        else expect([...data], name).not.toEqual([...before.get(name)!.data])
      }
      // The same parameters under the same names: weights move freely between the two.
      expect(net.manifest.parameters.map(({ name, shape }) => [name, shape])).toEqual(
        compile(netOf(stats)).manifest.parameters.map(({ name, shape }) => [name, shape]),
      )
      expect((await net.run({ x: inputs().x }))['prob']).not.toEqual(first['prob'])
      net.close()
    },
  )
  test('the backward pass ends where nothing below learns: fewer kernels, no place for gradients and histories of what is frozen', () => {
    for (const style of ['merged', 'split'] as const) {
      const [all, head] = [{}, { freeze: BODY }].map((options) =>
        inspect(netOf(), { style, programs: ['train'], ...options }).programs['train']!
      )
      expect(head!.kernels.length).toBeLessThan(all!.kernels.length)
      expect(head!.kernels.filter(({ name }) => /^(c|e|b|f|s)\.(d|sums|slopes|moments|update)/.test(name)).map(({ name }) => name)).toEqual(
        [],
      )
      expect(head!.flops).toBeLessThan(0.55 * all!.flops)
    }
    const { manifest } = compile(netOf(), { targets: ['wasm'], freeze: BODY })
    const learned = manifest.parameters.filter((p) => p.trainable).reduce(
      (sum, { shape }) => sum + 64 * Math.ceil(shape.reduce((a, b) => a * b, 1) / 64),
      0,
    )
    for (const role of ['parameters', 'gradients', 'history'])
      expect(manifest.plans['wasm']!.buffers.filter((b) => b.role === role && !b.name.endsWith('non_finite')).map((b) => b.elements), role)
        .toEqual([{ fixed: learned, perSample: 0 }])
    expect(manifest.freeze).toEqual(BODY)
  })
  test("patterns that mean nothing, half of a layer's statistics and all parameters are errors", () => {
    const refusal = (freeze: readonly string[]): string[] => {
      try {
        compile(netOf(), { freeze })
      } catch (error) {
        return (error as CompileError).diagnostics.map(({ message, hint }) => (hint === undefined ? message : `${message} (${hint})`))
      }
      return []
    }
    expect(refusal(['conv*', 'c.wieght'])).toEqual([
      'freeze: no parameter is called conv* (there are c, b, e, f, s, g, i)',
      'freeze: no parameter is called c.wieght; did you mean c.weight? (there are c, b, e, f, s, g, i)',
    ])
    expect(refusal(['*.running_mean'])[0]).toBe(
      'freeze: of b the running mean is frozen and the variance is not (freeze both, b.running_*, or all of b)',
    )
    expect(refusal(['*'])).toEqual(["freeze: nothing would be left to learn ('!NAME' behind the others leaves a layer out)"])
    expect(() => compile(netOf(), { freeze: 'conv*' as never })).toThrow('freeze "conv*": a list of names is wanted')
  })
})

const SOLVERS = [
  'sgd(lr: 0.05, momentum: 0.9, weight_decay: 0.01)',
  'nesterov(lr: 0.05, weight_decay: 0.01)',
  'adam(lr: 0.01, weight_decay: 0.01)',
  'adamw(lr: 0.01)',
  'rmsprop(lr: 0.01, weight_decay: 0.01)',
  'adadelta(weight_decay: 0.01)',
  'adagrad(lr: 0.01)',
]

describe('net.freeze', () => {
  test.each(SOLVERS)('%s: skips weights and histories to the bit, and lets go again', async (solver) => {
    const [device] = devices as [Device]
    const net = await opened(device, netOf('moving', solver))
    // Momentum is under way.
    await (await net.trainStep(inputs(1))).loss
    const before = (await net.snapshot()).tensors
    expect(await net.freeze(['c', 'g.bias'])).toEqual(['c.weight', 'c.bias', 'g.bias'])
    await (await net.trainStep(inputs(2))).loss
    await net.step(inputs(3))
    const frozen = (await net.snapshot()).tensors
    for (const [name, tensor] of frozen) {
      const [own] = name.split('/').slice(-1)
      if (/^(c\.|g\.bias)/.test(own!)) expect(bits(tensor), name).toEqual(bits(before.get(name)!))
      else expect(bits(tensor), name).not.toEqual(bits(before.get(name)!))
    }
    expect(await net.freeze([])).toEqual([])
    await (await net.trainStep(inputs(4))).loss
    const after = (await net.snapshot()).tensors
    expect(bits(after.get('c.weight')!)).not.toEqual(bits(frozen.get('c.weight')!))
    net.close()
  })
  test('counts nothing of what is frozen in clip_gradients: as the net that was compiled so', async () => {
    const solver = 'sgd(lr: 0.5, clip_gradients: 0.05)'
    for (const device of [exact, devices[0]!]) {
      const compiled = await opened(device, netOf('global', solver), { freeze: BODY })
      const frozen = await opened(device, netOf('global', solver))
      await frozen.freeze(BODY)
      for (const net of [compiled, frozen]) for (let t = 1; t <= 2; t++) await (await net.trainStep(inputs(t))).loss
      const [mine, want] = [await frozen.parameters(), await compiled.parameters()]
      for (const [name, { data }] of mine) data.forEach((v, k) => expect(v, name).toBeCloseTo(want.get(name)!.data[k] as number, 5))
      compiled.close()
      frozen.close()
    }
  })
  test('runs on WebGPU, in both styles', async () => {
    for (const style of ['merged', 'split'] as const) {
      const net = await opened(devices[1]!, netOf(), { style, programs: ['train/global'] })
      await net.freeze(BODY)
      const before = await net.parameters()
      await (await net.trainStep(inputs(1))).loss
      for (const [name, tensor] of await net.parameters())
        (/^[gi]\./.test(name) ? expect(bits(tensor), name).not : expect(bits(tensor), name)).toEqual(bits(before.get(name)!))
      net.close()
    }
  })
  test('normalizes with statistics that it keeps: all of them by itself, some of them never without a word', async () => {
    const [device] = devices as [Device]
    const net = await opened(device, netOf(), { programs: ['train', 'train/global'] })
    const same = await opened(device, netOf(), { programs: ['train', 'train/global'] })
    await net.freeze(['b', 'f', '*.running_*'])
    expect(await (await net.trainStep(inputs())).loss).toBe(await (await same.trainStep(inputs(), { stats: 'global' })).loss)
    await net.freeze(['b'])
    await expect(net.trainStep(inputs())).rejects.toThrow(
      "freeze keeps the running statistics of b, so these normalize with them, and f with those of each batch: a compiled program does one or the other. Train with stats: 'global'",
    )
    await (await net.trainStep(inputs(), { stats: 'global' })).loss
    await net.freeze(['b', 'f'])
    await expect(net.trainStep(inputs(), { stats: 'batch' })).rejects.toThrow("and stats: 'batch' is asked for")
    const without = await opened(device, netOf(), { programs: ['train'] })
    await without.freeze(['b', 'f'])
    await expect(without.trainStep(inputs())).rejects.toThrow('train/global')
    await expect(net.freeze(['b.gama'])).rejects.toThrow('freeze: no parameter is called b.gama; did you mean b.gamma?')
    await expect(net.freeze(['*'])).rejects.toThrow('nothing would be left to learn')
    await expect(net.freeze('b' as never)).rejects.toThrow('freeze takes a list of names')
    for (const each of [net, same, without]) each.close()
  })
  test('is an option of train, which lets go again and is part of what a snapshot goes on with', async () => {
    const [device] = devices as [Device]
    const data = arrays({
      x: { shape: [2, 6, 6], type: 'f32', data: normals(72 * 8, 7) },
      label: { shape: [], type: 'i32', classes: 3, data: labels(8, 3, 8) },
    })
    const net = await opened(device, netOf(), { programs: ['train'] })
    const before = await net.parameters()
    for await (const { step } of net.train(data, { epochs: 2, freeze: ['c'] })) if (step === 1) break
    const snapshot = await net.snapshot()
    expect(bits((await net.parameters()).get('c.weight')!)).toEqual(bits(before.get('c.weight')!))
    expect(net.frozen).toEqual([])
    const other = await opened(device, netOf(), { programs: ['train'] })
    await other.restore(snapshot)
    await expect(other.train(data, { steps: 1 }).next()).rejects.toThrow('freeze is nothing here, and c.bias, c.weight in that training')
    await other.restore(snapshot)
    for await (const _ of other.train(data, { steps: 1, freeze: ['c*'] }));
    const compiled = await opened(device, netOf(), { freeze: ['g'] })
    await expect(compiled.restore(snapshot)).rejects.toThrow('freeze is g.bias, g.weight here, and nothing in that training')
    for (const each of [net, other, compiled]) each.close()
  })
})
