import { expect, test, vi } from 'vitest'
import type { Bundle } from '../../bundle/format.ts'
import { compile } from '../../compiler/index.ts'
import { bundleFiles, open, problemsOf, wasm } from '../../runtime/index.ts'
import { MATH } from '../../compiler/targets/wasm/math.ts'
import { bundleFrom } from '../../runtime/loading/read-bundle.ts'
import { labels, normals } from '../support/random-net.ts'

// Every engine runs wide modules, and those that do not join vectors are only slower: so what they compute is seen anywhere.
vi.mock('../../runtime/wasm/wide.ts', () => ({ mayBeWide: () => true, isWide: () => true }))

/** Winograd in both directions, direct convolutions whose maps and channels no tile divides, strides, groups, a deconvolution, inner products. */
const text = `
net wide {
  input image: f32[3, 18, 22]
  input label: class[10]
  a = image -> conv(20, 3, pad: 1, bias: false) -> batch_norm -> relu
    -> conv(20, 3, pad: 1, bias: false) -> batch_norm -> relu -> conv(16, 5, pad: 2) -> batch_norm -> relu
  b = a -> conv(22, 1) -> batch_norm -> relu -> conv(18, 3, stride: 2, pad: 1) -> batch_norm -> relu
    -> conv(12, 3, pad: 1, groups: 2) -> relu -> deconv(10, 2, stride: 2) -> relu
  logits = b -> fc(33) -> sigmoid -> fc(10)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.05) }`
const BATCH = 5

async function gradients(bundle: Bundle, wide: boolean, threads = 1): Promise<Map<string, Int32Array>> {
  const device = await wasm({ threads, wide })
  const net = await open(bundle, { device, batch: BATCH, seed: 3 })
  const { grads } = await net.step({ image: normals(BATCH * 3 * 18 * 22, 1), label: labels(BATCH, 10, 1) }, { update: false })
  const bits = new Map(
    Object.entries(grads).map(([name, { buffer, byteOffset, length }]) => [name, new Int32Array(buffer, byteOffset, length)]),
  )
  const { description } = device
  net.close()
  device.close()
  expect(description.includes('twice the width')).toBe(wide)
  return bits
}

test('wide kernels give the same bits as the others, by any number of threads', async () => {
  const bundle = compile(text, { targets: ['wasm'], wide: true, programs: ['gradients'] })
  const modules = Object.values(bundle.manifest.plans['wasm']!.modules!)
  expect(modules.every((m) => m.wide !== undefined && bundle.files.has(m.wide))).toBe(true)
  const plain = await gradients(bundle, false)
  expect(plain.size).toBeGreaterThan(10)
  for (const threads of [1, 3]) expect(await gradients(bundle, true, threads)).toEqual(plain)
})

// Prepared filters have channels in lanes, and their sums are stored transposed.
test('so they do where filters are prepared', async () => {
  const bundle = compile(text, { targets: ['wasm'], wide: true, programs: ['infer'] })
  const results: Int32Array[] = []
  for (const wide of [false, true]) {
    const device = await wasm({ threads: 1, wide })
    const net = await open(bundle, { device, batch: BATCH, seed: 3 })
    const { prob } = await net.run({ image: normals(BATCH * 3 * 18 * 22, 1) })
    results.push(new Int32Array(Float32Array.from(prob!).buffer))
    net.close()
    device.close()
  }
  expect(results[1]).toEqual(results[0])
})

// A block of 32 images is four tiles of seven images and one of four.
test.each([24, 31, 32, 40])('so they do where tiles do not divide a block of images: %i images', async (batch) => {
  const text = 'net n {\n  input image: f32[24, 3, 3]\n  output y = image -> conv(8, 3, pad: 1)\n}\n'
  const bundle = compile(text, { targets: ['wasm'], wide: true, programs: ['infer'] })
  const results: Int32Array[] = []
  for (const wide of [false, true]) {
    const device = await wasm({ threads: 1, wide })
    const net = await open(bundle, { device, batch, seed: 3 })
    const { y } = await net.run({ image: normals(batch * 24 * 3 * 3, 1) })
    results.push(new Int32Array(Float32Array.from(y!).buffer))
    net.close()
    device.close()
  }
  expect(results[1]).toEqual(results[0])
})

// What follows sums in phases is computed in their place, of whole maps: 36 points are four pairs of vectors and a half.
test('so they do where what was stored is updated in place', async () => {
  const text = `net n {
  input image: f32[37, 6, 6]
  a = image -> conv(37, 1) -> tanh
  loss = sum(a -> conv(36, 4, stride: 2, pad: [1, 2, 1, 2], bias: false) -> tanh -> pow(2))
}`
  const bundle = compile(text, { targets: ['wasm'], wide: true, programs: ['gradients'] })
  const results: (readonly [string, Int32Array])[][] = []
  for (const wide of [false, true]) {
    const device = await wasm({ threads: 1, wide })
    const net = await open(bundle, { device, batch: BATCH, seed: 3 })
    const { grads } = await net.step({ image: normals(BATCH * 37 * 6 * 6, 1) }, { update: false })
    results.push(Object.entries(grads).map(([name, values]) => [name, new Int32Array(Float32Array.from(values).buffer)]))
    net.close()
    device.close()
  }
  expect(results[1]).toEqual(results[0])
})

// In pairs of images, of which the last may be missing; of terms that vectors do not divide as before; of images that a task normalizes by itself.
test.each(
  [
    ['a = x -> fc(24) -> sigmoid -> fc(10) -> batch_norm -> relu -> fc(3)', 'fast', 1],
    ['a = x -> fc(24) -> sigmoid -> fc(10) -> batch_norm -> relu -> fc(3)', 'fast', 2],
    ['a = x -> fc(24) -> sigmoid -> fc(10) -> batch_norm -> relu -> fc(3)', 'fast', 7],
    ['a = x -> fc(24) -> sigmoid -> fc(10) -> batch_norm -> relu -> fc(3)', 'fast', 33],
    ['a = x -> fc(32) -> batch_norm -> fc(5)', 'small', 33],
  ] as const,
)('inner products have them, and give the same bits: %s, memory %s, batch %i', async (layers, memory, batch) => {
  const text = `net n {
  input x: f32[36]
  ${layers}
  loss = sum(a -> fc(21) -> pow(2))
}`
  const bundle = compile(text, { targets: ['wasm'], wide: true, memory, programs: ['gradients'] })
  const results: (readonly [string, Int32Array])[][] = []
  for (const [wide, threads] of [[false, 1], [true, 1], [true, 2]] as const) {
    const device = await wasm({ threads, wide })
    const net = await open(bundle, { device, batch, seed: 3, allowOneValue: true })
    const { grads } = await net.step({ x: normals(batch * 36, 1) }, { update: false })
    results.push(Object.entries(grads).map(([name, values]) => [name, new Int32Array(Float32Array.from(values).buffer)]))
    net.close()
    device.close()
  }
  expect(results[1]).toEqual(results[0])
  expect(results[2]).toEqual(results[0])
})

test('they are modules beside the others, which they leave as they are', async () => {
  const programs = ['infer', 'step']
  const [plain, wide] = [compile(text, { targets: ['wasm'], programs }), compile(text, { targets: ['wasm'], programs, wide: true })]
  for (const [name, data] of plain.files) expect(wide.files.get(name)).toEqual(data)
  expect([...wide.files.keys()].filter((name) => !plain.files.has(name))).toEqual(['wasm/infer.wide.wasm', 'wasm/train.wide.wasm'])
  expect(problemsOf(wide.manifest, wide.files)).toEqual([])
  expect(problemsOf(wide.manifest, plain.files).map((p) => p.message)).toContain('wasm/infer.wide.wasm is not there')
  const files = await bundleFiles(wide)
  const { bundle } = await bundleFrom(async (name) => files.get(name))
  expect(new Set(bundle.files.keys())).toEqual(new Set(wide.files.keys()))
})

test('a net without sums of products has none', () => {
  const bundle = compile('net n {\n  input x: f32[4, 6]\n  output y = relu(x)\n}', { targets: ['wasm'], wide: true })
  expect(Object.values(bundle.manifest.plans['wasm']!.modules!).map((m) => m.wide)).toEqual([undefined])
})

test.each([[['webgpu'], 'the targets are webgpu'], [[], 'nothing is compiled']])('wide for targets %j is refused', (targets, why) => {
  expect(() => compile(text, { targets, wide: true })).toThrow(`wide is for wasm, and ${why}`)
})

test('a depthwise convolution has one where it reads a packed map, and gives the same bits', async () => {
  const text = `net n {
  input image: f32[6, 18, 20]
  a = image -> conv(6, 1, bias: false) -> batch_norm -> relu -> conv(6, 3, pad: 1, groups: 6) -> tanh
  loss = sum(a -> conv(6, 5, pad: 2, groups: 6) -> pow(2))
}`
  const bundle = compile(text, { targets: ['wasm'], wide: true, programs: ['gradients'] })
  const results: (readonly [string, Int32Array])[][] = []
  for (const wide of [false, true]) {
    const device = await wasm({ threads: 1, wide })
    const net = await open(bundle, { device, batch: BATCH, seed: 3 })
    const { grads } = await net.step({ image: normals(BATCH * 6 * 18 * 20, 1) }, { update: false })
    results.push(Object.entries(grads).map(([name, values]) => [name, new Int32Array(Float32Array.from(values).buffer)]))
    net.close()
    device.close()
  }
  expect(results[1]).toEqual(results[0])
  const alone = compile('net n {\n  input x: f32[8, 16, 16]\n  output y = x -> conv(8, 3, pad: 1, groups: 8)\n}', {
    targets: ['wasm'],
    wide: true,
  })
  expect(Object.values(alone.manifest.plans['wasm']!.modules!).every((m) => m.wide !== undefined)).toBe(true)
})

test('it has none where its vectors are masked one by one', () => {
  const bundle = compile('net n {\n  input x: f32[8, 12, 12]\n  output y = x -> conv(8, 3, pad: 1, groups: 8)\n}', {
    targets: ['wasm'],
    wide: true,
  })
  expect(Object.values(bundle.manifest.plans['wasm']!.modules!).map((m) => m.wide)).toEqual([undefined])
})

// Node 26 ends the process that compiles a wide module where two neighbouring vectors come from calls.
test('wide kernels write functions of vectors out, and call none', () => {
  const bundle = compile(
    `
net calls {
  input x: f32[3, 8, 16]
  a = x -> conv(16, 3, pad: 1) -> softplus -> conv(16, 3, pad: 1) -> batch_norm -> mish -> conv(16, 1) -> lrn(5)
  b = a -> conv(16, 3, pad: 1) -> gelu -> conv(16, 1) -> tanh -> conv(16, 3, pad: 1) -> sigmoid -> conv(16, 1) -> pow(1.5)
  output y = b
}`,
    { targets: ['wasm'], wide: true, programs: ['infer'] },
  )
  const wide = Object.values(bundle.manifest.plans['wasm']!.modules!).map((m) => bundle.files.get(m.wide!) as Uint8Array)
  expect(wide.length).toBeGreaterThan(0)
  // A function that nobody calls is `unreachable`: no locals, one instruction, the end.
  for (const module of wide) expect(functionSizes(module).slice(0, MATH.indexOf('random'))).toEqual(Array(MATH.indexOf('random')).fill(3))
})

/** Bytes of each function of a module. */
function functionSizes(module: Uint8Array): number[] {
  let at = 8
  const number = (): number => {
    for (let value = 0, shift = 0;; shift += 7) {
      const byte = module[at++]!
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
  }
  for (;;) {
    const id = module[at++]!
    const size = number()
    if (id === CODE_SECTION) break
    at += size
  }
  return Array.from({ length: number() }, () => {
    const size = number()
    at += size
    return size
  })
}
const CODE_SECTION = 10
