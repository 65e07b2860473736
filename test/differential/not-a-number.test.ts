import { LocalNet } from '../../runtime/net.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, type Numbers, wasm } from '../../runtime/index.ts'
import { openLocal as open } from '../../runtime/open.ts'

/**
 * One NaN among numbers: where it must be seen again, in values and in gradients, on the interpreter and on WebAssembly, in
 * both styles. What is wanted is said of each layer by hand; that the devices agree is not enough.
 */
const SIZE = 6
const BATCH = 3
/** In a corner, in the middle, at the end of a row that is no multiple of four lanes. */
const HOLES = [0, 44, 2 * SIZE * SIZE + 17]

let cpu: Device
const exact = interpreter()
beforeAll(async () => {
  cpu = await wasm({ threads: 1 })
})
afterAll(() => cpu.close())

const numbers = Array.from({ length: BATCH * SIZE * SIZE }, (_, i) => (HOLES.includes(i) ? NaN : ((i * 37) % 23) / 4 - 2.5))

/** Which of the elements are NaN. */
const holesIn = (values: ArrayLike<number>): number[] => Array.from(values).flatMap((v, i) => (Number.isNaN(v) ? [i] : []))

interface Seen {
  readonly inferred: number[]
  readonly evaluated: number
  readonly trained: number[]
  readonly loss: number
  readonly gradient: Numbers
}

async function see(layers: string, device: Device, style: 'merged' | 'split'): Promise<Seen> {
  const text = `net holes { input x: f32[1, ${SIZE}, ${SIZE}] y = x -> ${layers} output out = y loss = sum(y) }`
  const net = await open(compile(text, { style, targets: ['wasm'], programs: ['infer', 'eval', 'gradients'] }), {
    device,
    batch: BATCH,
    programs: ['infer', 'eval', 'gradients'],
  })
  try {
    const inputs = { x: Float32Array.from(numbers) }
    const { out } = await net.run(inputs)
    const { values } = await LocalNet.executorOf(net).execute('eval', inputs)
    const { outputs, loss, grads } = await net.step(inputs, { update: false })
    return {
      inferred: holesIn(out!),
      evaluated: LocalNet.executorOf(net).lossOf(await values),
      trained: holesIn(outputs['out']!),
      loss,
      gradient: grads['x']!,
    }
  } finally {
    net.close()
  }
}

/** Every device and style sees the same. */
async function seen(layers: string): Promise<Seen> {
  const [want, ...others] = [
    await see(layers, exact, 'split'),
    await see(layers, exact, 'merged'),
    await see(layers, cpu, 'split'),
    await see(layers, cpu, 'merged'),
  ] as const
  for (const got of others) {
    const { gradient, ...rest } = got
    const { gradient: wanted, ...same } = want
    expect(rest).toEqual(same)
    expect(holesIn(gradient)).toEqual(holesIn(wanted))
    gradient.forEach((v, i) => {
      if (!Number.isNaN(v)) expect(v).toBeCloseTo(wanted[i]!, 4)
    })
  }
  expect(want.loss).toBeNaN()
  expect(want.evaluated).toBeNaN()
  expect(want.trained).toEqual(want.inferred)
  return want
}

describe('a layer that looks at one element', () => {
  test.each([
    'relu',
    'leaky_relu',
    'leaky_relu(slope: 0)',
    'elu',
    'elu(alpha: 0)',
    'elu(alpha: -1)',
    'sigmoid',
    'tanh',
    'softplus',
    'silu',
    'gelu',
    'gelu(tanh)',
    'hard_sigmoid',
    'hard_swish',
    'clip(0, 6)',
    'clip(-1, 1)',
    'prelu',
    'prelu(shared: true)',
  ])('%s keeps NaN where it was, and gives it back as a gradient', async (layers) => {
    const { inferred, gradient } = await seen(layers)
    expect(inferred).toEqual(HOLES)
    expect(holesIn(gradient)).toEqual(HOLES)
  })
  test.each([
    'add(x, coeff: [1, 0])',
    'mul(x)',
    'max(x)',
    'batch_norm(stats: global) -> relu',
    'dropout(0)',
    'scale(bias: true) -> clip(0, 6)',
  ])('%s keeps NaN where it was', async (layers) => {
    expect((await seen(layers)).inferred).toEqual(HOLES)
  })
})

test('the larger of two is NaN where either is, and the gradient goes to the NaN', async () => {
  const { inferred, gradient } = await seen('leaky_relu(slope: 2) -> max(clip(x, -9, 9))')
  expect(inferred).toEqual(HOLES)
  expect(holesIn(gradient)).toEqual(HOLES)
})

describe('a window', () => {
  /** Outputs whose window of `kernel` rows and columns, `stride` apart, holds a hole. */
  const windows = (kernel: number, stride: number, pad = 0): number[] => {
    const count = Math.floor((SIZE + 2 * pad - kernel) / stride) + 1
    const found: number[] = []
    for (let n = 0; n < BATCH; n++) {
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < count; j++) {
          if (
            HOLES.some((at) => {
              const [image, row, column] = [Math.floor(at / SIZE ** 2), Math.floor(at / SIZE) % SIZE, at % SIZE]
              const inside = (x: number, window: number): boolean => x >= window * stride - pad && x < window * stride - pad + kernel
              return image === n && inside(row, i) && inside(column, j)
            })
          ) found.push((n * count + i) * count + j)
        }
      }
    }
    return found
  }
  test.each([[2, 2, 0], [3, 2, 1], [3, 1, 1], [2, 1, 0], [5, 1, 0]])(
    'max_pool of %i, stride %i, pad %i: the gradient goes to the NaN of the window',
    async (kernel, stride, pad) => {
      const { inferred, gradient } = await seen(`max_pool(${kernel}, stride: ${stride}, pad: ${pad})`)
      expect(inferred).toEqual(windows(kernel, stride, pad))
      // Each window hands 1 to one element, in those with a hole to the first hole: to all holes together as many.
      expect(HOLES.reduce((sum, at) => sum + gradient[at]!, 0)).toBe(inferred.length)
    },
  )
  test('avg_pool', async () => {
    expect((await seen('avg_pool(3, stride: 2)')).inferred).toEqual(windows(3, 2))
  })
  test.each(['global_max_pool', 'global_avg_pool', 'fc(1)', 'flatten -> softmax -> fc(1)'])('%s', async (layers) => {
    expect((await seen(layers)).inferred).toEqual([0, 1, 2])
  })
  test('behind normalization and relu, merged too', async () => {
    // The statistics of the only channel are NaN in training.
    for (const [device, style] of [[exact, 'split'], [exact, 'merged'], [cpu, 'split'], [cpu, 'merged']] as const) {
      const { inferred, trained, loss, gradient } = await see('batch_norm -> relu -> max_pool(2) -> fc(2)', device, style)
      expect(inferred).toEqual([0, 1, 2, 3, 4, 5])
      expect(trained).toEqual([0, 1, 2, 3, 4, 5])
      expect(loss).toBeNaN()
      expect(holesIn(gradient).length).toBe(numbers.length)
    }
  })
})

describe('losses', () => {
  const INPUTS = 5
  async function lossOf(loss: string, device: Device, style: 'merged' | 'split'): Promise<{ loss: number; gradient: number[] }> {
    const text = `net holes { input x: f32[${INPUTS}] input t: f32[${INPUTS}] input label: class[${INPUTS}] loss = ${loss} }`
    const net = await open(compile(text, { style, targets: ['wasm'], programs: ['eval', 'gradients'] }), {
      device,
      batch: 3,
      programs: ['gradients'],
    })
    try {
      const x = Float32Array.from({ length: 3 * INPUTS }, (_, i) => (i === 7 ? NaN : i / 4 - 2))
      const { loss, grads } = await net.step({ x, t: x.map((_, i) => i % 2), label: Int32Array.of(1, 4, 0) }, { update: false })
      return { loss, gradient: holesIn(grads['x']!) }
    } finally {
      net.close()
    }
  }
  test.each(
    [
      ['hinge_loss(x, label)', [7]],
      ['hinge_loss(x, label, norm: 2)', [7]],
      ['sigmoid_loss(x, t)', [7]],
      ['squared_loss(x, t)', [7]],
      ['softmax_loss(x, label)', [5, 6, 7, 8, 9]],
    ] as const,
  )('%s', async (loss, want) => {
    for (const device of [exact, cpu]) {
      for (const style of ['split', 'merged'] as const)
        expect(await lossOf(loss, device, style)).toEqual({ loss: NaN, gradient: [...want] })
    }
  })
})
