import { describe, expect, test } from 'vitest'
import { packFacts, packParts, unpackFacts, unpackParts } from '../../bundle/packed-plan.ts'
import type { PlanPart } from '../../bundle/stored.ts'

const size = (fixed: number, perSample: number): { fixed: number; perSample: number } => ({ fixed, perSample })
const infer: PlanPart = {
  buffers: [
    { name: 'input.x', role: 'input', elements: size(0, 4) },
    { name: 'constants.c', role: 'constants', elements: size(3, 0), data: [{ times: 2, values: [1] }, { times: 1, values: [0.5] }] },
  ],
  tensors: [{ name: 'x', shape: ['n', 4], type: 'f32', buffer: 0, offset: 0 }],
  kernels: [{ name: 'a', file: 'webgpu/infer.wgsl', section: 'a', bindings: [{ name: 'x', access: 'read', type: 'f32' }], workgroup: 64 }],
  programs: {
    infer: {
      dispatches: [{ kernel: 0, tensors: [0, 1], invocations: size(0, 4), name: 'a' }],
      results: { y: 0 },
      peakBytes: size(1, 2),
      lowerBoundBytes: size(1, 1),
      needsPrepare: false,
    },
  },
}
const train: PlanPart = {
  buffers: [],
  tensors: [{ name: 'y', shape: [3], type: 'f16', buffer: 1, offset: 64, behind: [0, 5] }],
  kernels: [{ name: 'b', bindings: [], workgroup: 1 }],
  programs: {},
}

describe('a plan in its files', () => {
  test('is rows of numbers, and texts once in all parts', () => {
    const [first, second] = packParts([infer, train])
    expect(first!.names).toEqual(['input.x', 'input', 'constants.c', 'constants', 'x', 'a', 'read', 'f32', 'webgpu/infer.wgsl', 'y'])
    expect(first!.types).toEqual([['f32', 'n', 4]])
    expect(first!.buffers).toEqual([[0, 1, 0, 4], [2, 3, 3, 0, [2, 1], [1, 0.5]]])
    expect(first!.tensors).toEqual([[4, 0, 0, 0]])
    expect(first!.kernels).toEqual([[5, 64, [4, 6, 7], 8, 5]])
    expect(first!.programs['infer']).toMatchObject({ dispatches: [[0, 5, 0, 4, 0, 1]], results: [9, 0] })
    // `y` is named by the first part.
    expect(second).toEqual({
      names: ['b'],
      types: [['f16', 3]],
      buffers: [],
      tensors: [[9, 1, 1, 64, 0, 5]],
      kernels: [[10, 1, []]],
      programs: {},
    })
  })

  test('comes back as it was', () => {
    const back = unpackParts(JSON.parse(JSON.stringify(packParts([infer, train]))))
    expect(back).toEqual({
      buffers: infer.buffers,
      tensors: [...infer.tensors, ...train.tensors],
      kernels: [...infer.kernels, ...train.kernels],
      programs: infer.programs,
    })
  })

  test('of any JSON something is made that validation can look at', () => {
    for (
      const part of [{}, {
        names: 5,
        tensors: [7, [0, 'length', null]],
        kernels: [[0, 1, 2]],
        programs: { infer: 3, eval: { results: [9] } },
      }]
    )
      expect(() => unpackParts([part as never])).not.toThrow()
  })
})

test('facts of equal dispatches are there once, and come back as they were', () => {
  const fact = {
    layers: ['a'],
    flops: size(1, 2),
    products: size(0, 1),
    bytesRead: size(3, 4),
    bytesWritten: size(5, 6),
    why: ['a is read twice'],
  }
  const facts = {
    infer: [fact, null],
    train: [{ ...fact }, { ...fact, how: 'direct', again: true as const }, { ...fact, again: true as const }],
  }
  const packed = packFacts(facts)
  expect(packed.facts).toHaveLength(3)
  expect(packed.programs).toEqual({ infer: [0, null], train: [0, 1, 2] })
  expect(unpackFacts(JSON.parse(JSON.stringify(packed)))).toEqual({ infer: [fact, undefined], train: facts.train })
})
