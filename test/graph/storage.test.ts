import { expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { value, type Value } from '../../compiler/graph/graph.ts'
import { nextOffset, packedSizes } from '../../compiler/graph/storage.ts'
import { overlap } from '../../compiler/ir/tensor.ts'
import { entry, graph } from './graphs.ts'

// minStorageBufferOffsetAlignment of WebGPU is 256 bytes at most: 64 elements of 4 bytes.
test.each([[0, 1, 64], [0, 64, 64], [0, 65, 128], [64, 100, 192]])(
  'behind %i, %i elements end at %i',
  (offset, elements, end) => expect(nextOffset(offset, elements)).toBe(end),
)

test('a packed buffer ends where its last value does, rounded up', () => {
  const at = (role: 'parameters' | 'states', offset: number, size: number): Value =>
    value(`${role}${offset}`, [size], nowhere, { storage: { role, offset } })
  const parameters = [at('parameters', 0, 10), at('states', 0, 3), at('parameters', 64, 70)].map((v) => entry(v))
  expect(packedSizes(graph([], { parameters }))).toEqual({ parameters: 192, states: 64 })
  expect(packedSizes(graph([], { parameters: [] }))).toEqual({ parameters: 0, states: 0 })
})

test('packed values overlap where they share elements of one buffer', () => {
  const at = (offset: number, size: number, role: 'parameters' | 'gradients' = 'parameters'): Value =>
    value('v', [size], nowhere, { storage: { role, offset } })
  expect(overlap(at(0, 128), at(64, 10))).toBe(true)
  expect(overlap(at(0, 64), at(64, 10))).toBe(false)
  expect(overlap(at(0, 64), at(0, 64, 'gradients'))).toBe(false)
})
