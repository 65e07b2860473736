import { expect, test } from 'vitest'
import { chunkOf, tasksOf } from '../../runtime/wasm/memory-layout.ts'

test('one thread takes all tasks at once', () => {
  expect(chunkOf(30, 5, 6, 1)).toBe(30)
  expect(chunkOf(0, 5, 0, 1)).toBe(1)
})

test('of several threads each takes whole samples where there are enough', () => {
  expect(chunkOf(5 * 64, 5, 64, 2)).toBe(10)
  expect(chunkOf(5 * 33, 5, 33, 2)).toBe(5)
  // Few samples, as many for each.
  expect(chunkOf(5 * 8, 5, 8, 2)).toBe(5)
})

test('few samples are cut, so that all threads have work', () => {
  expect(chunkOf(5, 5, 1, 2)).toBe(1)
  expect(chunkOf(20 * 9, 20, 9, 2)).toBe(5)
  expect(chunkOf(3 * 8, 8, 3, 2)).toBe(1)
})

test('tasks that are samples, or no matter of samples, are cut as before', () => {
  expect(chunkOf(64, 1, 64, 2)).toBe(2)
  expect(chunkOf(640, 0, 64, 2)).toBe(20)
})

test('where several samples have one task, there are as many as samples that were begun need', () => {
  expect(tasksOf({ fixed: 2, perSample: 2 / 32 }, 128)).toBe(8)
  expect(tasksOf({ fixed: 2, perSample: 2 / 32 }, 129)).toBe(10)
  expect(tasksOf({ fixed: 7, perSample: 0 }, 129)).toBe(7)
  expect(tasksOf({ fixed: 0, perSample: 3 }, 129)).toBe(387)
  for (let images = 1; images < 50; images++) {
    for (const fixed of [1, 3, 8, 10]) {
      for (let batch = 1; batch < 300; batch++) {
        const found = tasksOf({ fixed, perSample: fixed / images }, batch)
        if (found !== fixed * Math.ceil(batch / images)) expect([fixed, images, batch, found]).toBe('as many as by hand')
      }
    }
  }
})
