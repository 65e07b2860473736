import { describe, expect, test } from 'vitest'
import type { KernelFunction, Operand, Statement } from '../../compiler/codegen/kernel-function.ts'
import { printKernelFunction } from '../../compiler/codegen/print.ts'
import { verifyKernelFunction } from '../../compiler/codegen/verify.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { compile } from '../../compiler/index.ts'
import { GENERATE } from '../../compiler/pipeline.ts'
import { TARGETS } from '../../compiler/targets/targets.ts'
import { CAPABILITIES as WASM } from '../../compiler/targets/wasm/print.ts'
import { CAPABILITIES as WGSL } from '../../compiler/targets/wgsl/print.ts'

const name = (called: string, type: 'f32' | 'i32' | 'bool' = 'f32', lanes: 1 | 4 = 1): Operand => ({
  kind: 'name',
  name: called,
  type,
  lanes,
  depth: 0,
})
const number = (value: number, type: 'f32' | 'i32' = 'f32'): Operand => ({ kind: 'number', value, type })
const at = name('i', 'i32')
const x: Operand = { kind: 'load', binding: 0, at }
const letX: Statement = { kind: 'let', name: 'v0', type: 'f32', lanes: 1, value: x }
const store: Statement = { kind: 'store', binding: 1, at, value: name('v0') }

const kernel = (body: readonly Statement[], more: Partial<KernelFunction> = {}): KernelFunction => ({
  name: 'k',
  layers: ['k'],
  summary: [],
  bindings: [
    { name: 'x', tensor: tensor('x', ['n', 8]), access: 'read' },
    { name: 'y', tensor: tensor('y', ['n', 8]), access: 'read_write' },
  ],
  packBuffers: [],
  grid: [{ name: 'i', extent: 'n' }],
  body,
  ...more,
})
const group = { group: [{ name: 'i_in', extent: 64 }] } as const
const condition: Operand = { kind: 'operation', op: 'lt', args: [name('v0'), number(0)], type: 'bool', lanes: 1 }

test('a sound kernel has no problem on any target', () => {
  expect(verifyKernelFunction(kernel([letX, store]), WGSL)).toEqual([])
  expect(verifyKernelFunction(kernel([letX, store]), WASM)).toEqual([])
})

describe('what is unsound is told:', () => {
  const cases: [string, KernelFunction, string][] = [
    ['a name before its definition', kernel([store, letX]), 'v0 is not defined here'],
    ['a name outside its scope', kernel([{ kind: 'step', body: [letX] }, store]), 'v0 is not defined here'],
    ['a name twice', kernel([letX, { kind: 'step', body: [letX] }]), 'v0 is defined twice'],
    ['a name that changes its type', kernel([letX, { ...store, value: name('v0', 'i32') } as Statement]), 'v0 is f32 of 1, not i32 of 1'],
    ['a value that is set', kernel([letX, { kind: 'set', name: 'v0', value: number(1) }]), 'v0 is set, which is no variable here'],
    ['an address that is no integer', kernel([letX, { ...store, at: name('v0') } as Statement]), 'an address is i32, but given f32'],
    ['a write to what is read', kernel([letX, { ...store, binding: 0 } as Statement]), 'x is written, but bound to be read'],
    ['memory that is not there', kernel([letX, { ...store, binding: 2 } as Statement]), 'there is no memory 2'],
    ['a barrier of one invocation', kernel([{ kind: 'barrier' }]), 'a barrier without a workgroup'],
    [
      'a barrier in a branch',
      kernel([letX, { kind: 'if', condition, body: [{ kind: 'barrier' }] }], group),
      'a barrier that some invocations may not reach',
    ],
    [
      'four lanes where one goes',
      kernel([{ ...letX, value: { ...x, lanes: 4 } } as Statement]),
      'v0 has one lane, but is given four',
    ],
    [
      'an interleaved store',
      kernel([{ kind: 'storeInterleaved', binding: 1, at, values: [], step: 2 }]),
      'the target has no storeInterleaved',
    ],
    [
      'a subgroup on a device that may have none',
      kernel([{ ...letX, value: { kind: 'subgroup', combine: 'sum', of: x } } as Statement], group),
      'asks its subgroup, but is for all devices',
    ],
    // The limits that every WebGPU grants (W3C WebGPU, 3.6.2): maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize.
    [
      'invocations that not every device has',
      kernel([], { group: [{ name: 'i_in', extent: 257 }] }),
      'a workgroup has 256 invocations, not 257',
    ],
    [
      'more memory than a workgroup has',
      kernel([], { ...group, shared: [{ name: 'tile', elements: 1025, lanes: 4 }] }),
      'a workgroup has 16384 bytes, not 16400',
    ],
  ]
  test.each(cases)('%s', (_, f, problem) => {
    expect(verifyKernelFunction(f, WGSL)).toContain(`k: ${problem}`)
  })

  test('a barrier on a target that has no workgroups', () => {
    expect(verifyKernelFunction(kernel([{ kind: 'barrier' }], group), WASM)).toEqual(['k: the target has no barrier'])
  })
})

test('a kernel function prints a statement a line', () => {
  const body: Statement[] = [letX, { kind: 'if', condition, body: [{ ...store, lanes: 4, step: 2 }] }]
  expect(printKernelFunction(kernel(body, group))).toBe(`kernel k: grid i < n; workgroup i_in < 64
  %0 read x [n, 8]
  %1 read and write y [n, 8]
  let v0: f32 = %0[i]
  if lt(v0, 0.0)
    %1[i] x4 by 2 = v0
`)
})

describe.each(TARGETS.map((target) => [target.name, target.storage] as const))('kernel functions for %s', (target, storage) => {
  test.each(['merged', 'split'] as const)('are sound: %s', (style) => {
    const net = `net n { input image: f32[3, 9, 9]  input label: class[5]
      x = image -> conv(8, 3, pad: 1) -> batch_norm -> relu -> max_pool(3, stride: 2)
      output y = x -> conv(4, 3) -> relu -> fc(5)  loss l = softmax_loss(y, label) }`
    const texts: (() => string)[] = []
    compile(net, {
      file: 'n',
      style,
      targets: [target],
      ...(storage && { storage }),
      watch: (_, step, text) => step === GENERATE && texts.push(text),
    })
    // The step verifies what it prints.
    for (const text of texts) expect(text()).toMatch(/^kernel /)
    expect(texts.length).toBeGreaterThan(0)
  })
})
