import { describe, expect, test } from 'vitest'
import type { ModelLayer, ModelTensor } from '../../import/model-net.ts'
import { applyPatterns } from '../../import/patterns/patterns.ts'

/** A tensor of numbers 1, 2, 3, ..., or of one number. */
function tensor(shape: readonly number[], value?: number): ModelTensor {
  const size = shape.reduce((a, b) => a * b, 1)
  return { shape, values: () => Float32Array.from({ length: size }, (_, i) => value ?? i + 1) }
}

const layer = (
  output: string,
  op: string,
  inputs: readonly (string | number)[],
  more: ModelLayer['arguments'] = {},
  parameters?: ModelLayer['parameters'],
): ModelLayer => ({
  op,
  inputs,
  arguments: more,
  output,
  from: [output],
  ...(parameters ? { parameters } : {}),
})
const parameter = (output: string, shape: readonly number[], value?: number): ModelLayer => ({
  ...layer(output, 'parameter', [], { dims: shape }, { value: tensor(shape, value) }),
  name: output,
})

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
  return String(value)
}
/** `y = gelu(x)`, a line a layer; parameters with their shapes. */
function print(layers: readonly ModelLayer[]): string[] {
  return layers.map(({ op, inputs, arguments: a, parameters = {}, output, name }) => {
    const given = [...inputs.map(String), ...Object.entries(a).map(([key, value]) => `${key}: ${show(value)}`)]
    const owned = Object.entries(parameters).map(([role, { shape }]) => ` ${role}${show(shape)}`).join('')
    return `${output} = ${op}(${given.join(', ')})${owned}${Object.keys(parameters).length > 0 && name ? ` of ${name}` : ''}`
  })
}
/** Rewrites layers whose values all have one shape, but those that are named. */
function rewrite(
  layers: readonly ModelLayer[],
  shape: readonly number[],
  shapes: Readonly<Record<string, readonly number[]>> = {},
  kept: readonly string[] = ['y'],
): string[] {
  const all = new Map<string, readonly number[]>([
    ['x', shape],
    ...layers.map((one) => [one.output, shape] as const),
    ...Object.entries(shapes),
  ])
  return print(applyPatterns(layers, new Set(kept), all))
}

const MAP = [8, 4, 4]

describe('functions of each element', () => {
  const sigmoidTimes = [layer('s', 'sigmoid', ['x']), layer('y', 'mul', ['s', 'x'])]
  test('x sigmoid(x) is silu', () => expect(rewrite(sigmoidTimes, MAP)).toEqual(['y = silu(x)']))
  test('not where the sigmoid is a result, or read elsewhere', () => {
    expect(rewrite(sigmoidTimes, MAP, {}, ['y', 's'])).toEqual(['s = sigmoid(x)', 'y = mul(s, x)'])
    expect(rewrite([...sigmoidTimes, layer('z', 'tanh', ['s'])], MAP, {}, ['y', 'z'])).toHaveLength(3)
  })
  test('logarithms of softmax and sigmoid stay finite', () => {
    const log = (op: string, args = {}) => [layer('s', op, ['x'], args), layer('y', 'log', ['s'])]
    expect(rewrite(log('softmax', { axis: 2, end: 2 }), MAP)).toEqual(['y = log_softmax(x, axis: 2, end: 2)'])
    expect(rewrite(log('sigmoid'), MAP)).toEqual(['y/neg = neg(x)', 'y/softplus = softplus(y/neg)', 'y = neg(y/softplus)'])
    expect(rewrite(log('sigmoid'), MAP, {}, ['y', 's'])).toHaveLength(2)
    expect(rewrite(log('tanh'), MAP)).toHaveLength(2)
  })
  test('not the sigmoid of another value', () => {
    expect(rewrite([layer('s', 'sigmoid', ['x']), layer('y', 'mul', ['s', 'other'])], MAP)).toHaveLength(2)
  })
  test('clip(x + 3, 0, 6) / 6 is hard_sigmoid, times x hard_swish', () => {
    const gate = [layer('a', 'add', ['x', 3]), layer('c', 'clip', ['a'], { lo: 0, hi: 6 }), layer('g', 'div', ['c', 6])]
    expect(rewrite(gate, MAP, {}, ['g'])).toEqual(['g = hard_sigmoid(x)'])
    expect(rewrite([...gate, layer('y', 'mul', ['x', 'g'])], MAP)).toEqual(['y = hard_swish(x)'])
    const late = [gate[0]!, gate[1]!, layer('m', 'mul', ['x', 'c']), layer('y', 'div', ['m', 6])]
    expect(rewrite(late, MAP)).toEqual(['y = hard_swish(x)'])
    expect(rewrite([layer('a', 'add', ['x', 2]), ...late.slice(1)], MAP)).toHaveLength(4)
  })
  test('hard_sigmoid of the float32 beside 1/6 is that of PyTorch; one of slope 0.2 stays', () => {
    const of = (alpha: number) => [layer('s', 'hard_sigmoid', ['x'], { alpha, beta: 0.5 }), layer('y', 'mul', ['x', 's'])]
    expect(rewrite(of(Math.fround(1 / 6)), MAP)).toEqual(['y = hard_swish(x)'])
    expect(rewrite(of(0.2), MAP)).toHaveLength(2)
    expect(rewrite(of(0.1667), MAP)).toHaveLength(2)
  })
  test('the forms of gelu, with erf and with tanh', () => {
    const erf = [
      layer('d', 'div', ['x', Math.fround(Math.SQRT2)]),
      layer('e', 'erf', ['d']),
      layer('a', 'add', ['e', 1]),
      layer('m', 'mul', ['x', 'a']),
      layer('y', 'mul', ['m', 0.5]),
    ]
    expect(rewrite(erf, MAP)).toEqual(['y = gelu(x)'])
    expect(rewrite(erf, MAP, {}, ['y', 'e'])).toHaveLength(5)
    const tanh = [
      layer('p', 'pow', ['x'], { exponent: 3 }),
      layer('q', 'mul', ['p', Math.fround(0.044715)]),
      layer('r', 'add', ['x', 'q']),
      layer('s', 'mul', ['r', Math.fround(0.7978845608)]),
      layer('t', 'tanh', ['s']),
      layer('u', 'add', ['t', 1]),
      layer('v', 'mul', ['x', 0.5]),
      layer('y', 'mul', ['v', 'u']),
    ]
    expect(rewrite(tanh, MAP)).toEqual(['y = gelu(x, approximate: tanh)'])
  })
  test('numbers may lie in tensors of one element', () => {
    const layers = [
      parameter('three', [1], 3),
      parameter('six', [], 6),
      layer('a', 'add', ['x', 'three']),
      layer('c', 'clip', ['a'], { lo: 0, hi: 6 }),
      layer('y', 'div', ['c', 'six']),
    ]
    expect(rewrite(layers, MAP, { three: [1], six: [] })).toEqual(['y = hard_sigmoid(x)'])
  })
})

describe('normalization', () => {
  const norm = (axes: readonly number[]) => [
    layer('m', 'reduce_mean', ['x'], { axes, keep: true }),
    layer('d', 'sub', ['x', 'm']),
    layer('p', 'pow', ['d'], { exponent: 2 }),
    layer('v', 'reduce_mean', ['p'], { axes, keep: true }),
    layer('e', 'add', ['v', 1e-6]),
    layer('r', 'sqrt', ['e']),
    layer('n', 'div', ['d', 'r']),
  ]
  const affine = (
    shape: readonly number[],
  ) => [
    parameter('norm.weight', shape),
    parameter('norm.bias', shape),
    layer('g', 'mul', ['n', 'norm.weight']),
    layer('y', 'add', ['g', 'norm.bias']),
  ]
  test('over the last axes it is layer_norm, over the map instance_norm', () => {
    expect(rewrite(norm([-1]), [5, 8], {}, ['n'])).toEqual(['n = layer_norm(x, axis: 2, end: -1, eps: 0.000001, affine: false)'])
    expect(rewrite(norm([1, 2, 3]), MAP, {}, ['n'])).toEqual(['n = layer_norm(x, axis: 1, end: -1, eps: 0.000001, affine: false)'])
    expect(rewrite(norm([2, 3]), MAP, {}, ['n'])).toEqual(['n = instance_norm(x, eps: 0.000001, affine: false)'])
    expect(rewrite(norm([1]), MAP, {}, ['n'])).toEqual(['n = layer_norm(x, axis: 1, end: 1, eps: 0.000001, affine: false)'])
  })
  test('it owns the factors and summands behind it', () => {
    expect(rewrite([...norm([-1]), ...affine([8])], [5, 8], { 'norm.weight': [8], 'norm.bias': [8] }))
      .toEqual(['y = layer_norm(x, axis: 2, end: -1, eps: 0.000001) gamma[8] beta[8] of norm'])
    expect(rewrite([...norm([2, 3]), ...affine([8, 1, 1])], MAP)).toEqual(['y = instance_norm(x, eps: 0.000001) gamma[8] beta[8] of norm'])
  })
  test('also where they are scale and bias', () => {
    const scale = layer('g', 'scale', ['n'], { bias: false }, { weight: tensor([8]) })
    const bias = layer('y', 'bias', ['g'], {}, { bias: tensor([8]) })
    expect(rewrite([...norm([2, 3]), scale, bias], MAP)).toEqual(['y = instance_norm(x, eps: 0.000001) gamma[8] beta[8]'])
    expect(rewrite([...norm([1, 2, 3]), scale, bias], MAP)).toEqual([
      'n = layer_norm(x, axis: 1, end: -1, eps: 0.000001, affine: false)',
      'y = scale(n) weight[8] bias[8]',
    ])
  })
  test('over the batch and the map it is batch_norm with statistics of the batch', () => {
    const found = rewrite(norm([0, 2, 3]), MAP, {}, ['n'])
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/^n = batch_norm\(x, .*affine: false\)$/)
  })
  test('not other means of the batch, of other axes, or what is read elsewhere', () => {
    for (const axes of [[0], [0, 2], [0, 1, 2, 3]]) expect(rewrite(norm(axes), MAP, {}, ['n'])).toHaveLength(7)
    expect(rewrite(norm([1, 3]), MAP, {}, ['n'])).toHaveLength(7)
    expect(rewrite(norm([2, 3]), MAP, {}, ['n', 'm'])).toHaveLength(7)
  })
  test('rows of channels, normalized and put back, are group_norm', () => {
    const ones = { gamma: tensor([4], 1), beta: tensor([4], 0) }
    const rows = [
      layer('r', 'reshape', ['x'], { dims: [4, 32] }),
      layer('i', 'instance_norm', ['r'], { eps: 1e-5 }, ones),
      layer('n', 'reshape', ['i'], { dims: MAP }),
    ]
    const shapes = { r: [4, 32], i: [4, 32] }
    expect(rewrite([...rows, ...affine([8, 1, 1])], MAP, shapes)).toEqual([
      'y = group_norm(x, groups: 4, eps: 0.00001) gamma[8] beta[8] of norm',
    ])
    const other = [rows[0]!, { ...rows[1]!, parameters: { gamma: tensor([4]), beta: tensor([4], 0) } }, rows[2]!]
    expect(rewrite(other, MAP, shapes, ['n'])).toHaveLength(3)
  })
})

describe('a number a channel', () => {
  const shapes = { w: [8, 1, 1], b: [8, 1, 1] }
  const [w, b] = [parameter('w', [8, 1, 1]), parameter('b', [8, 1, 1])]
  test('times and plus it are scale and bias', () => {
    expect(rewrite([w, b, layer('m', 'mul', ['x', 'w']), layer('y', 'add', ['m', 'b'])], MAP, shapes)).toEqual([
      'y = scale(x) weight[8] bias[8] of w',
    ])
    expect(rewrite([w, layer('y', 'mul', ['w', 'x'])], MAP, shapes)).toEqual(['y = scale(x, bias: false) weight[8] of w'])
    expect(rewrite([b, layer('y', 'add', ['x', 'b'])], MAP, shapes)).toEqual(['y = bias(x) bias[8] of b'])
  })
  test('not along another axis, and not what two layers read', () => {
    expect(rewrite([parameter('w', [4]), layer('y', 'mul', ['x', 'w'])], MAP, { w: [4] })).toHaveLength(2)
    expect(rewrite([w, layer('m', 'mul', ['x', 'w']), layer('y', 'mul', ['m', 'w'])], MAP, shapes)).toHaveLength(3)
  })
  test('behind a linear layer it is its bias', () => {
    const linear = layer('m', 'fc', ['x'], { out: 8, axis: -1, bias: false }, { weight: tensor([8, 3]) })
    expect(rewrite([linear, parameter('b', [8]), layer('y', 'add', ['m', 'b'])], [5, 8], { x: [5, 3], b: [8] })).toEqual([
      'y = fc(x, out: 8, axis: -1) weight[8, 3] bias[8]',
    ])
    expect(rewrite([linear, parameter('b', [8]), layer('y', 'add', ['m', 'b'])], [5, 8], { x: [5, 3], b: [8] }, ['y', 'm'])).toHaveLength(3)
  })
})

describe('shapes', () => {
  test('what PyTorch writes for flattening vanishes in front of fc', () => {
    const layers = [
      layer('g', 'reduce_mean', ['x'], { axes: [-1, -2], keep: true }),
      layer('r', 'reshape', ['g'], { dims: [8] }),
      layer('y', 'fc', ['r'], { out: 3 }, { weight: tensor([3, 8]), bias: tensor([3]) }),
    ]
    expect(rewrite(layers, MAP, { g: [8, 1, 1], r: [8], y: [3] })).toEqual([
      'g = global_avg_pool(x)',
      'y = fc(g, out: 3) weight[3, 8] bias[3]',
    ])
  })
  test('a mean without its dimensions is flattened', () => {
    expect(rewrite([layer('y', 'reduce_mean', ['x'], { axes: [2, 3], keep: false })], MAP, { y: [8] })).toEqual([
      'y (map) = global_avg_pool(x)',
      'y = flatten(y (map))',
    ])
  })
  test('reshapes in a row are one, transposes that undo each other none', () => {
    const layers = [
      layer('a', 'reshape', ['x'], { dims: [2, 4, 4, 4] }),
      layer('t', 'transpose', ['a'], { order: [0, 2, 1, 3, 4] }),
      layer('u', 'transpose', ['t'], { order: [0, 2, 1, 3, 4] }),
      layer('y', 'reshape', ['u'], { dims: [128] }),
    ]
    expect(rewrite(layers, MAP, { a: [2, 4, 4, 4], t: [4, 2, 4, 4], u: [2, 4, 4, 4], y: [128] })).toEqual(['y = flatten(x)'])
  })
  test('a frame of zeros belongs to the convolution, and to max_pool behind a rectifier', () => {
    const pad = layer('p', 'pad', ['x'], { size: [0, 1, 0, 1] })
    const conv = layer('y', 'conv', ['p'], { out: 8, kernel: 3, stride: 2, bias: false, pad: 1 }, { weight: tensor([8, 8, 3, 3]) })
    expect(rewrite([pad, conv], MAP)).toEqual([
      'y = conv(x, out: 8, kernel: 3, stride: 2, bias: false, pad: [1, 2, 1, 2]) weight[8, 8, 3, 3]',
    ])
    expect(rewrite([{ ...pad, arguments: { size: 1, value: 2 } }, conv], MAP)).toHaveLength(2)
    expect(rewrite([{ ...pad, arguments: { size: 1, mode: 'edge' } }, conv], MAP)).toHaveLength(2)
    const pool = [{ ...pad, arguments: { size: 1 } }, layer('y', 'max_pool', ['p'], { kernel: 3, stride: 2 })]
    expect(rewrite(pool, MAP)).toHaveLength(2)
    const behind = [layer('r', 'relu', ['x']), { ...pool[0]!, inputs: ['r'] }, pool[1]!]
    expect(rewrite(behind, MAP)).toEqual(['r = relu(x)', 'y = max_pool(r, kernel: 3, stride: 2, pad: 1)'])
  })
  test('resize by whole factors is upsample where the grids agree', () => {
    const resize = (more: ModelLayer['arguments']) =>
      rewrite([layer('y', 'resize', ['x'], { scale: [2, 2], ...more })], MAP, { y: [8, 8, 8] })
    expect(resize({ mode: 'nearest', coordinates: 'asymmetric', rounding: 'floor' })).toEqual(['y = upsample(x, factor: 2, mode: nearest)'])
    expect(resize({ mode: 'linear', coordinates: 'half_pixel' })).toEqual(['y = upsample(x, factor: 2, mode: bilinear)'])
    expect(resize({ mode: 'linear', coordinates: 'align_corners' })[0]).toContain('resize')
    expect(resize({ mode: 'nearest', coordinates: 'asymmetric', rounding: 'ceil' })[0]).toContain('resize')
    expect(rewrite([layer('y', 'resize', ['x'], { size: [8, 8], mode: 'linear', coordinates: 'align_corners' })], MAP, { y: [8, 8, 8] }))
      .toEqual(['y = resize(x, scale: 2, mode: linear, coordinates: align_corners)'])
    expect(rewrite([layer('r', 'resize', ['x'], { size: [4, 4], mode: 'cubic' }), layer('y', 'relu', ['r'])], MAP)).toEqual(['y = relu(x)'])
  })
  test("Inception's arithmetic of single channels is normalize", () => {
    const channel = (i: number) => [
      layer(`s${i}`, 'slice', ['x'], { axis: 1, from: i, to: i + 1 }),
      layer(`m${i}`, 'mul', [`s${i}`, 0.5]),
      layer(`a${i}`, 'add', [`m${i}`, i]),
    ]
    const layers = [...channel(0), ...channel(1), layer('y', 'concat', ['a0', 'a1'])]
    expect(rewrite(layers, [2, 4, 4])).toEqual(['y = normalize(x, mean: [0, -2], std: [2, 2])'])
    expect(rewrite(layers, [3, 4, 4])).toHaveLength(7)
  })
})

describe('channels last', () => {
  const LAST = [4, 4, 8]
  const inner = [
    layer('l', 'transpose', ['x'], { order: [0, 2, 3, 1] }),
    layer('n', 'layer_norm', ['l'], { axis: -1 }, { gamma: tensor([8]), beta: tensor([8]) }),
    layer('f', 'fc', ['n'], { out: 8, axis: -1, bias: false }, { weight: tensor([8, 8]) }),
    parameter('b', [8]),
    layer('a', 'add', ['f', 'b']),
    layer('g', 'gelu', ['a']),
  ]
  const shapes = { l: LAST, n: LAST, f: LAST, b: [8], a: LAST, g: LAST }
  test('between two transposes all is done on maps', () => {
    expect(rewrite([...inner, layer('y', 'transpose', ['g'], { order: [0, 3, 1, 2] })], MAP, shapes)).toEqual([
      'n = layer_norm(x, axis: 1, end: 1) gamma[8] beta[8]',
      'a = conv(n, out: 8, kernel: 1) weight[8, 8, 1, 1] bias[8]',
      'y = gelu(a)',
    ])
  })
  test('not where values between them are results: turning back costs as much', () => {
    expect(rewrite([...inner, layer('y', 'transpose', ['g'], { order: [0, 3, 1, 2] })], MAP, shapes, ['n', 'a', 'y'])[0]).toContain(
      'transpose',
    )
  })
  test('what must be read as it is gets turned', () => {
    const layers = [...inner.slice(0, 2), layer('y', 'transpose', ['n'], { order: [0, 3, 1, 2] }), layer('z', 'flatten', ['n'])]
    expect(rewrite(layers, MAP, { ...shapes, z: [128] }, ['y', 'z'])).toEqual([
      'y = layer_norm(x, axis: 1, end: 1) gamma[8] beta[8]',
      'n = transpose(y, order: [0, 2, 3, 1])',
      'z = flatten(n)',
    ])
  })
  test('a mean over the map needs no turning', () => {
    const layers = [...inner.slice(0, 2), layer('y', 'reduce_mean', ['n'], { axes: [1, 2], keep: false })]
    expect(rewrite(layers, MAP, { ...shapes, y: [8] })).toEqual([
      'n = layer_norm(x, axis: 1, end: 1) gamma[8] beta[8]',
      'y (map) = global_avg_pool(n)',
      'y = flatten(y (map))',
    ])
  })
  test('a map of one position needs none either', () => {
    const layers = [
      layer('r', 'reshape', ['x'], { dims: [1, 1, 8] }),
      layer('n', 'layer_norm', ['r'], { axis: 3 }, { gamma: tensor([8]), beta: tensor([8]) }),
      layer('y', 'fc', ['n'], { out: 3 }, { weight: tensor([3, 8]), bias: tensor([3]) }),
    ]
    const shapes = { r: [1, 1, 8], n: [1, 1, 8], y: [3] }
    expect(rewrite(layers, [8, 1, 1], shapes)[0]).toBe('n = layer_norm(x, axis: 1, end: 1) gamma[8] beta[8]')
    expect(rewrite(layers, [8, 1, 1], shapes, ['y', 'n'])).toHaveLength(3)
  })
  test('linear layers that share their weight stay linear', () => {
    const sharer = { ...layer('z', 'fc', ['x2'], { out: 8, axis: -1, bias: false }), sharesWith: 'f' }
    const layers = [...inner.slice(0, 3), layer('y', 'transpose', ['f'], { order: [0, 3, 1, 2] }), sharer]
    expect(rewrite(layers, MAP, { ...shapes, x2: [5, 8], z: [5, 8] }, ['y', 'z']).join()).toContain('f = fc(')
  })
})
