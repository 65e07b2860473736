import { describe, expect, test } from 'vitest'
import { importMutant, mutantOf } from './run.ts'
import { type Seed, seedsOf } from './seeds.ts'

/** A part of each kind; `node test/import/fuzz/long.mjs` tries thousands, with their time and memory. */
const COUNT = 80

describe.each(['onnx', 'caffe', 'darknet'] as const)('models of %s', (kind: Seed['kind']) => {
  const seeds = seedsOf[kind]()

  test('ten of them are imported as they are', async () => {
    expect(seeds.length).toBe(10)
    for (const seed of seeds) expect([seed.name, await importMutant(seed, true)]).toEqual([seed.name, 'imported'])
  })

  test('changed at random they are refused with reasons, or the text compiles', async () => {
    for (let number = 0; number < COUNT; number++) {
      try {
        await importMutant(mutantOf(seeds, number))
      } catch (error) {
        throw new Error(`mutant ${number} of ${kind}`, { cause: error })
      }
    }
  })
})
