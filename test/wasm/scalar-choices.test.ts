import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, wasm } from '../../runtime/index.ts'
import { openLocal as open } from '../../runtime/open.ts'

/** Choices by numbers of a net where fewer elements are left than a vector has lanes: values and gradients, NaN and infinities among them. */

let cpu: Device
const exact = interpreter()
beforeAll(async () => {
  cpu = await wasm({ threads: 1 })
})
afterAll(() => cpu.close())

const x = Float32Array.of(NaN, -1.5, 2)
const z = Float32Array.of(1, NaN, 0.25)
const inputs: Readonly<Record<string, readonly [Float32Array, Float32Array]>> = {
  'NaN in either': [x, z],
  infinities: [Float32Array.of(-Infinity, Infinity, 0.5), Float32Array.of(3, -Infinity, Infinity)],
  numbers: [Float32Array.of(-0.75, 0.25, 7), Float32Array.of(-0.5, 0.125, 8)],
}

describe.each(Object.entries(inputs))('%s', (_, [a, b]) => {
  test.each([
    'max(a, b)',
    'min(a, b)',
    'max(a, b) -> relu',
    'a -> relu',
    'a -> leaky_relu',
    'a -> clip(-1, 1)',
    'a -> abs',
    'where(sub(b, a) -> relu, a, b)',
    'where(sub(b, a) -> relu, where(b, b, a), 2)',
  ])('%s', async (layers) => {
    const text = `net choices { input a: f32[3] input b: f32[3] y = ${layers} output out = y loss = sum(y) }`
    const results = []
    for (const device of [exact, cpu]) {
      const net = await open(compile(text, { targets: ['wasm'], programs: ['infer', 'gradients'] }), {
        device,
        batch: 1,
        programs: ['infer', 'gradients'],
      })
      const { out } = await net.run({ a, b })
      const { grads } = await net.step({ a, b }, { update: false })
      results.push([out, grads['a'], grads['b']].map((values) => Array.from(values ?? [], (v) => Math.fround(v) + 0)))
      net.close()
    }
    expect(results[1]).toEqual(results[0])
  })
})
