import { expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { LoopNest, Stage } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { pairImages } from '../../../compiler/codegen/cpu/paired-images.ts'
import { widenNest } from '../../../compiler/codegen/cpu/wide.ts'
import { verifyKernelFunction } from '../../../compiler/codegen/verify.ts'
import { bufferOf } from '../../../compiler/ir/tensor.ts'
import { CAPABILITIES } from '../../../compiler/targets/wasm/print.ts'
import { equationsOf } from './run-loop-nest.ts'

/** Terms that vectors divide and that none do; outputs that are vectors and that are not; images that are computed on the way. */
const equations = equationsOf(
  `net n {
  input x: f32[64]
  a = x -> fc(16) as vectors -> fc(3) as single
  b = x -> sigmoid -> fc(128) as computed -> fc(21) as few
  c = x -> fc(30) as odd -> fc(8) as tail
  loss = add(sum(mul(a, a)), sum(mul(b, b)), sum(mul(c, c)))
}`,
  ['gradients'],
)
const nestOf = (name: RegExp): readonly [LoopNest, Stage] => {
  const e = [...equations].find(([key]) => name.test(key))![1]
  const nest = applySchedule(e, new CpuScheduler().scheduleOf(e))
  return [nest, nest.stages.findLast((s): s is Stage => 'equation' in s)!]
}

test.each([
  ['vectors', /^vectors(?!\.d)/, 4],
  ['single values', /^single(?!\.d)/, 8],
  ['vectors of what is computed on the way', /^computed(?!\.d)/, 4],
])('twice the images of a tile are multiplied two by two: results that are %s', (_, name, images) => {
  const [nest, stage] = nestOf(name)
  const paired = pairImages(nest, stage)!
  expect(paired.multiply.loops.find((l) => l.axis === nest.images!.axis)?.tile).toBe(images)
  // Pairs of images, fours of terms, the image of a pair, the term.
  const [pairs, , ...pair] = paired.into.shape
  expect([pairs, ...pair]).toEqual([(nest.images!.axis.extent as number) / 2, 2, 4])
})

test.each([
  ['terms that are no whole vectors', /^tail(?!\.d)/],
  ['a sum over images', /vectors\.dweight/],
  ['results in lanes', /computed\.dx|few\.dx/],
])('nothing is paired where a product has %s', (_, name) => {
  const [nest, stage] = nestOf(name)
  expect(pairImages(nest, stage)).toBeUndefined()
})

test('their kernel functions are sound', () => {
  const verified = [...equations.values()].flatMap((e) => {
    const wide = widenNest(applySchedule(e, new CpuScheduler().scheduleOf(e)))
    return wide ? [verifyKernelFunction(lowerLoopNest(e, wide, bufferOf), CAPABILITIES)] : []
  })
  expect(verified.length).toBeGreaterThan(4)
  expect(verified.flat()).toEqual([])
})
