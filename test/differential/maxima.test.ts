import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm } from '../../runtime/index.ts'

/** Windows of equal values, zeros of both signs, infinities and NaN: the maximum, and the first element that has it, as the interpreter finds them. */
const BATCH = 2
const VALUES = [-2, -1, -0, 0, 0, 1, 1, 2, NaN, Infinity, -Infinity]

const devices: Device[] = []
const exact = interpreter()
beforeAll(async () => {
  for (const threads of [1, 2]) devices.push(await wasm({ threads }))
})
afterAll(() => {
  for (const device of [exact, ...devices]) device.close()
})

/** Values of the list, of which the last are rare. */
function numbers(count: number): Float32Array {
  let state = 7
  return Float32Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    const which = Math.floor(state / 65536)
    return VALUES[which % 9 === 0 ? 8 + Math.floor(which / 9) % 3 : which % 8]!
  })
}

async function see(text: string, x: Float32Array, device: Device): Promise<{ outputs: number[]; gradient: number[] }> {
  const net = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: BATCH, programs: ['gradients'] })
  try {
    const { outputs, grads } = await net.step({ x }, { update: false })
    return { outputs: Array.from(outputs['out']!, (v) => v + 0), gradient: Array.from(grads['x']!, (v) => v + 0) }
  } finally {
    net.close()
  }
}

test.each([
  // Rows that overlap, in tiles of four and of two, and in none.
  ['8, 8', 'max_pool(3, stride: 1, pad: 1)'],
  ['6, 9', 'max_pool(3, stride: 1, pad: 1)'],
  ['7, 7', 'max_pool(3, stride: 1, pad: 1)'],
  ['12, 12', 'max_pool(5, stride: 1)'],
  ['12, 10', 'max_pool([3, 2], stride: 1, pad: [1, 1, 0, 1])'],
  ['12, 10', 'max_pool([3, 1], stride: 1)'],
  ['12, 10', 'max_pool([1, 3], stride: 1)'],
  ['16, 16', 'relu -> max_pool(4, stride: [1, 2], pad: same)'],
  ['13, 13', 'max_pool(3, stride: 2, round: ceil)'],
  ['8, 16', 'leaky_relu(slope: 0.5) -> max_pool(2)'],
  ['12, 12', 'max_pool(3, stride: 1, dilation: 2)'],
])('[%s] -> %s', async (size, layers) => {
  const text = `net windows { input x: f32[3, ${size}] y = x -> ${layers} output out = y loss = sum(y) }`
  const [height, width] = size.split(', ').map(Number) as [number, number]
  const x = numbers(BATCH * 3 * height * width)
  const want = await see(text, x, exact)
  for (const device of devices) expect(await see(text, x, device)).toEqual(want)
})

test.each([
  ['8, 8', 'max_pool(3, stride: 1, pad: 1)'],
  ['6, 9', 'max_pool(2, round: ceil)'],
  ['12, 10', 'max_pool([3, 2], stride: 1, pad: [1, 1, 0, 1])'],
  ['9, 9', 'global_max_pool'],
  ['9, 9', 'reduce_max([2])'],
  ['7, 8', 'reduce_max([-1])'],
  ['7, 8', 'neg -> reduce_min([1, 2]) -> neg'],
])('[%s] -> %s: where all is -Infinity, so is the maximum', async (size, layers) => {
  const text = `net windows { input x: f32[3, ${size}] y = x -> ${layers} output out = y loss = sum(y) }`
  const [height, width] = size.split(', ').map(Number) as [number, number]
  const x = new Float32Array(BATCH * 3 * height * width).fill(-Infinity)
  for (const device of [exact, ...devices]) {
    for (const style of ['merged', 'split'] as const) {
      const net = await open(compile(text, { targets: ['wasm'], style, programs: ['infer'] }), {
        device,
        batch: BATCH,
        programs: ['infer'],
      })
      const { out } = await net.run({ x })
      net.close()
      expect(new Set(out)).toEqual(new Set([-Infinity]))
    }
  }
})
