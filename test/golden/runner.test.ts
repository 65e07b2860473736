import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, wasm } from '../../runtime/index.ts'
import { fillerText } from './filler-text.ts'
import type { GoldenCase, GoldenLayer, GoldenTensor } from './golden-file.ts'
import { runCase } from './run-case.ts'
import { check } from './suite.ts'
import { scheduleText } from './train-text.ts'

/*
 * Cases of the format that are not among those of the folder. Expected numbers are sums and products by hand; those of softmax are
 * 1 / (1 + e^d) of a difference d.
 */

let device: Device
beforeAll(() => {
  device = interpreter()
})
afterAll(() => device.close())

type Numbers = readonly [shape: readonly number[], ...values: number[]]
const numbers = ([shape, ...values]: Numbers): GoldenTensor => ({ dtype: 'F64', shape, data: Float64Array.from(values) })

function aCase(
  layers: readonly Partial<GoldenLayer>[],
  tensors: Readonly<Record<string, Numbers>>,
  labels: Readonly<Record<string, Numbers>> = {},
  meta: object = {},
): GoldenCase {
  const all = new Map(Object.entries(tensors).map(([name, t]) => [name, numbers(t)]))
  for (const [name, [shape, ...values]] of Object.entries(labels)) all.set(name, { dtype: 'I32', shape, data: Int32Array.from(values) })
  const tolerance = Object.fromEntries([...all.keys()].map((name) => [name, { scale: 1, f32: 1e-7, atol: 1e-6 }]))
  return {
    name: 'made up',
    kind: 'net',
    layers: layers.map((l) => ({ name: '', type: '', bottom: [], top: [], param: {}, attrs: {}, ...l })),
    tolerance,
    meta: { ...meta },
    tensors: all,
  }
}

async function holds(golden: GoldenCase): Promise<void> {
  for (const spelling of ['as given', 'other'] as const) {
    check(golden, await runCase(golden, { device, targets: [], float64: true, style: 'merged', spelling, everyBlob: true }), 1)
  }
}

const fc = (name: string, bottom: string, top: string, out: number, param: Record<string, string>): Partial<GoldenLayer> => ({
  name,
  type: 'InnerProduct',
  bottom: [bottom],
  top: [top],
  param,
  attrs: { num_output: out, transpose: false, bias_term: 'bias' in param },
})
const leaky = (name: string, bottom: string, top: string, slope: number): Partial<GoldenLayer> => ({
  name,
  type: 'ReLU',
  bottom: [bottom],
  top: [top],
  attrs: { negative_slope: slope },
})

describe('the runner of reference cases takes', () => {
  test('names that are no words of the language, or differ in signs alone', () =>
    holds(aCase(
      [
        leaky('for', 'x/1', 'x.1', 0.5),
        leaky('a-b', 'x.1', '__proto__', 0.5),
        fc('a b', '__proto__', 'in', 1, { weight: 'w/1', bias: 'b#1' }),
      ],
      {
        'in.x/1': [[1, 2], -4, 3],
        'param.w/1': [[1, 2], 10, 100],
        'param.b#1': [[1], 7],
        'dout.in': [[1, 1], 2],
        'out.x.1': [[1, 2], -2, 3],
        'out.__proto__': [[1, 2], -1, 3],
        'out.in': [[1, 1], 297],
        'din.x/1': [[1, 2], 5, 200],
        'dparam.w/1': [[1, 2], -2, 6],
        'dparam.b#1': [[1], 2],
      },
    )))

  test('layers in place, and gradients from outside in the middle', () =>
    holds(aCase(
      [leaky('r', 'x', 'x', 0.5), fc('f', 'x', 'y', 1, { weight: 'w' })],
      {
        'in.x': [[1, 2], -4, 3],
        'param.w': [[1, 2], 10, 100],
        'dout.x': [[1, 2], 1, 1],
        'dout.y': [[1, 1], 1],
        'out.x': [[1, 2], -2, 3],
        'out.y': [[1, 1], 280],
        'din.x': [[1, 2], 5.5, 101],
        'dparam.w': [[1, 2], -2, 3],
      },
    )))

  test('layers that move the batch, and labels of what they make', () =>
    holds(aCase(
      [{ name: 'c', type: 'Concat', bottom: ['x', 'y'], top: ['z'], attrs: { axis: 0 } }, {
        name: 'l',
        type: 'HingeLoss',
        bottom: ['z', 'label'],
        top: ['loss'],
        attrs: { norm: 'L1' },
      }],
      // Margins: 1 - x of the right class, 1 + x of the other.
      {
        'in.x': [[1, 2], 3, -2],
        'in.y': [[2, 2], 0, 0.5, 2, 2],
        'dout.loss': [[], 1],
        'out.loss': [[], (0 + 0 + 1 + 1.5 + 3 + 0) / 3],
        'din.x': [[1, 2], 0, 0],
        'din.y': [[2, 2], -1 / 3, 1 / 3, 1 / 3, 0],
      },
      { 'in.label': [[3], 0, 0, 1] },
    )))

  test('a new batch by reshape, and blobs of one axis', () =>
    holds(aCase(
      [{ name: 'r', type: 'Reshape', bottom: ['x'], top: ['y'], attrs: { dim: [-1] } }, leaky('l', 'y', 'z', 0.5)],
      {
        'in.x': [[2, 1, 2], -4, 3, 1, -1],
        'dout.z': [[4], 1, 2, 3, 4],
        'out.y': [[4], -4, 3, 1, -1],
        'out.z': [[4], -2, 3, 1, -0.5],
        'din.x': [[2, 1, 2], 0.5, 2, 3, 2],
      },
    )))

  test('scores along any axis', () => {
    // Inputs are float32: a difference of nearly log 3, so p is nearly 1 / 4.
    const d = Math.fround(Math.log(3))
    const p = 1 / (1 + Math.exp(d))
    return holds(aCase(
      [{ name: 's', type: 'Softmax', bottom: ['x'], top: ['y'], attrs: { axis: -1 } }],
      {
        'in.x': [[1, 2, 2], 0, d, d, 0],
        'dout.y': [[1, 2, 2], 1, 0, 0, 0],
        'out.y': [[1, 2, 2], p, 1 - p, 1 - p, p],
        'din.x': [[1, 2, 2], p * (1 - p), -p * (1 - p), 0, 0],
      },
    ))
  })

  test('parts cut from the middle of a net, in equal parts where no points are named', () =>
    holds(aCase(
      [leaky('l', 'x', 'y', 0.5), { name: 's', type: 'Slice', bottom: ['y'], top: ['a', 'y'], attrs: { axis: 1, slice_point: [] } }],
      {
        'in.x': [[1, 4], -2, 2, -4, 4],
        'dout.a': [[1, 2], 1, 2],
        'dout.y': [[1, 2], 3, 4],
        'out.a': [[1, 2], -1, 2],
        'out.y': [[1, 2], -2, 4],
        'din.x': [[1, 4], 0.5, 2, 1.5, 4],
      },
    )))

  test('a weight that two layers share, with a bias each', () =>
    holds(aCase(
      [fc('f', 'x', 'y', 2, { weight: 'w', bias: 'b' }), fc('g', 'y', 'z', 2, { weight: 'w', bias: 'c' })],
      // z = w (w x + b) + c; dw = dz y' + w' dz x'
      {
        'in.x': [[1, 2], 1, 2],
        'param.w': [[2, 2], 1, 2, 3, 4],
        'param.b': [[2], 1, 1],
        'param.c': [[2], 5, 6],
        'dout.z': [[1, 2], 1, 0],
        'out.y': [[1, 2], 6, 12],
        'out.z': [[1, 2], 35, 72],
        'din.x': [[1, 2], 7, 10],
        'dparam.w': [[2, 2], 7, 14, 2, 4],
        'dparam.b': [[2], 1, 2],
        'dparam.c': [[2], 1, 0],
      },
    )))

  test('batch normalization over maps of three axes, on WebAssembly too', async () => {
    // Mean 0 and variance 1 as it stands; of a gradient that is x itself, nothing is left but what gamma gets.
    const x = [1, -1, 1, -1, -1, 1, -1, 1]
    const golden = aCase(
      [{
        name: 'bn',
        type: 'BatchNorm',
        bottom: ['x'],
        top: ['h'],
        param: {},
        attrs: { affine: false, eps: 1e-10, use_global_stats: false },
      }, { name: 's', type: 'Scale', bottom: ['h'], top: ['y'], param: { scale: 'g', bias: 'b' }, attrs: { bias_term: true } }],
      {
        'in.x': [[1, 1, 2, 2, 2], ...x],
        'param.g': [[1], 2],
        'param.b': [[1], 3],
        'dout.y': [[1, 1, 2, 2, 2], ...x],
        'out.h': [[1, 1, 2, 2, 2], ...x],
        'out.y': [[1, 1, 2, 2, 2], ...x.map((v) => 2 * v + 3)],
        'dparam.g': [[1], 8],
        'dparam.b': [[1], 0],
        'din.x': [[1, 1, 2, 2, 2], ...x.map(() => 0)],
        'stat.bn.mean': [[1], 0],
        'stat.bn.var': [[1], 1],
      },
    )
    await holds(golden)
    const cpu = await wasm({ threads: 1 })
    for (const style of ['merged', 'split'] as const)
      check(
        golden,
        await runCase(golden, { device: cpu, targets: ['wasm'], float64: false, style, spelling: 'as given', everyBlob: true }),
        1,
      )
    cpu.close()
  })

  test('nothing to differentiate, and dropout in the test phase', () =>
    holds(aCase(
      [{ name: 'd', type: 'Dropout', bottom: ['x'], top: ['y'], attrs: { dropout_ratio: 0.5 } }, leaky('l', 'y', 'z', 0.5)],
      { 'in.x': [[1, 2], -4, 3], 'out.y': [[1, 2], -4, 3], 'out.z': [[1, 2], -2, 3] },
    )))

  test("a solver's parameters of any name and rank", () =>
    holds({
      ...aCase(
        [],
        {
          'param.s/1': [[], 1],
          'grad.s/1': [[2], 1, 1],
          'out.s/1': [[2], 0.5, -0.25],
          'out.lr': [[2], 0.5, 0.5],
          'history.s/1.h': [[], 0.75],
        },
        {},
        {
          solver: { type: 'SGD', base_lr: 0.5, momentum: 0.5, lr_policy: 'fixed' },
          param_specs: { 's/1': { lr_mult: 1, decay_mult: 1 } },
          steps: 2,
        },
      ),
      kind: 'solver',
    }))

  test.each([[[4]], [[]], [[2, 3, 5]], [[2, 1, 2, 3, 2]], [[3, 2]]])('a constant filler of shape %j', (shape) => {
    const { text, parameter, shape: ours } = fillerText({ type: 'constant', value: 0.25 }, shape)
    const entry = compile(text).manifest.parameters.find(({ name }) => name === parameter)!
    expect([entry.shape, entry.initializer]).toEqual([ours, { kind: 'constant', value: 0.25 }])
    expect(ours.reduce((a, b) => a * b, 1)).toBe(shape.reduce((a, b) => a * b, 1))
  })

  test('and says what it does not know', () => {
    expect(() => scheduleText({ lr_policy: 'cyclic' })).toThrow('what is the policy cyclic in the language?')
    return expect(holds(aCase([{ name: 'q', type: 'Quux', bottom: ['x'], top: ['y'] }], { 'in.x': [[1, 1], 1] }))).rejects.toThrow(
      'q: what is Quux in the language?',
    )
  })
})
