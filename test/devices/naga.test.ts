import { describe, expect, test } from 'vitest'
import { validateWithNaga, validateWithTint } from './naga.ts'

const kernel = (body: string, size = 64, head = '') => `
  ${head}
  @group(0) @binding(0) var<storage, read_write> y: array<f32>;
  @compute @workgroup_size(${size})
  fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32) {
    ${body}
  }`
const nineBuffers = `
  ${Array.from({ length: 9 }, (_, i) => `@group(0) @binding(${i}) var<storage, read_write> b${i}: array<f32>;`).join('\n')}
  @compute @workgroup_size(1) fn main() { ${Array.from({ length: 9 }, (_, i) => `b${i}[0] = 1.0;`).join(' ')} }`

const modules = [
  { name: 'good', code: kernel('y[id.x] = 2.0 * y[id.x];') },
  { name: 'no wgsl', code: 'float main() {}' },
  { name: 'wrong type', code: kernel('let x: u32 = 1.5;') },
  { name: 'workgroup too large', code: kernel('y[id.x] = 1.0;', 257) },
  { name: 'too many buffers', code: nineBuffers },
  { name: 'good too', code: kernel('y[id.x] = max(y[id.x], 0.0);') },
  { name: 'no such entry point', code: kernel('y[id.x] = 1.0;'), entryPoint: 'other' },
  { name: 'constants', code: kernel('y[id.x] = scale;', 64, 'override scale: f32;'), constants: { scale: 3 } },
]

describe.each([{ compiler: 'tint', validate: validateWithTint }, { compiler: 'naga', validate: validateWithNaga }])(
  '$compiler',
  ({ validate }) => {
    test('tells good modules from bad ones, in order', async () => {
      const checked = await validate(modules)
      expect(checked.map(({ name, errors }) => [name, errors.length > 0])).toEqual([
        ['good', false],
        ['no wgsl', true],
        ['wrong type', true],
        ['workgroup too large', true],
        ['too many buffers', true],
        ['good too', false],
        ['no such entry point', true],
        ['constants', false],
      ])
      const [wrongType] = checked.filter(({ name }) => name === 'wrong type')
      expect(wrongType!.errors.join()).toContain('u32')
    })

    test('nothing to check', async () => {
      expect(await validate([])).toEqual([])
    })
  },
)

// wgpu lets this pass, so only Tint stands guard.
test('tint counts workgroup memory', async () => {
  const ofWords = (count: number) => ({
    name: `${count} words`,
    code: kernel('tile[i] = 1.0; y[id.x] = tile[0];', 64, `var<workgroup> tile: array<f32, ${count}>;`),
  })
  const checked = await validateWithTint([ofWords(4096), ofWords(4097)])
  expect(checked.map(({ errors }) => errors.length > 0)).toEqual([false, true])
})
