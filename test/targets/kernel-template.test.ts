import { expect, test } from 'vitest'
import { tensor } from '../../compiler/ir/tensor.ts'
import { filled, namesFor, numbered, variablesOf } from '../../compiler/targets/kernel-template.ts'

const TEMPLATE = `// the.kernel: tensor.1 [n, 4]
// reads tensor_0 [n, 4]; h 2
@group(0) @binding(1) var<storage, read> tensor_0: array<f32>;
@group(0) @binding(2) var<storage, read_write> tensor_1: array<f32>;
var<workgroup> tile: array<f32, 4>;
fn twice(x: f32) -> f32 {
 let y = x;
 return 2.0 * y;
}
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
 let h = i32(global.x);
 for (var i = 0; i < 4; i++) {
  let tensor_1_found = u32(tensor_0[h * 4 + i] != 0.0);
  tensor_1[h * 4 + i] = twice(tile[i]);
 }
}
`
const RESERVED = ' for let var '

function text(...names: string[]): string {
  const tensors = names.map((name) => tensor(name, ['n', 4]))
  return filled(TEMPLATE, variablesOf(TEMPLATE), RESERVED, { kernel: 'fc+relu', tensors, words: namesFor(tensors, RESERVED) })
}

test('names stand in their places: as they are in remarks, as words in the code', () => {
  const made = text('conv1.bias', 'out')
  expect(made).toContain('// fc+relu: out [n, 4]\n// reads conv1_bias [n, 4]; h 2\n')
  expect(made).toContain('out[h * 4 + i] = twice(tile[i]);')
  expect(made).toContain('let out_found = u32(conv1_bias[h * 4 + i] != 0.0);')
  expect(made).not.toMatch(/tensor|the\.kernel/)
})

test('two tensors of one name, and one called after a word of the language, have other words', () => {
  expect(namesFor([tensor('a.b', []), tensor('a_b', []), tensor('for', [])], RESERVED)).toEqual(['a_b', 'a_b_2', 'for_2'])
})

test('variables are those of workgroups and of the entry point', () => {
  expect(variablesOf(TEMPLATE)).toBe(' tile h i tensor_1_found ')
})

test('variables give way to tensors of their names; fields and remarks do not', () => {
  const made = text('h', 'x')
  expect(made).toContain('let h_2 = i32(global.x);')
  expect(made).toContain('x[h_2 * 4 + i] = twice(tile[i]);')
  expect(made).toContain('// reads h [n, 4]; h 2')
  expect(made).toContain('fn twice(x: f32) -> f32 {\n let y = x;')
  expect(text('tile', 'y')).toContain('var<workgroup> tile_2: array<f32, 4>;')
})

test('without names, texts of kernels that differ in them alone are one', () => {
  const numbers = new Map([[0, 1], [1, 0]])
  expect(numbered(TEMPLATE, numbers)).toContain('#0[h * 4 + i] = twice(tile[i]);')
  expect(numbered(TEMPLATE, numbers)).not.toMatch(/tensor|\/\//)
})
