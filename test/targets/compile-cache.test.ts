import { beforeEach, expect, test } from 'vitest'
import { cachedBytes, clearCompileCache, madeOf } from '../../compiler/targets/compile-cache.ts'
import { compile } from '../../compiler/index.ts'

const net = (activation: string): string =>
  `net small {
  input x: f32[3, 8, 8]
  y = x -> conv(4, 3, pad: 1) -> relu -> fc(5) -> ${activation}
  output z = y
}
`

beforeEach(clearCompileCache)

/** Kernels that a compilation generates. */
function generated(activation: string): number {
  const before = madeOf('kernel/gpu') + madeOf('kernel/cpu')
  compile(net(activation))
  return madeOf('kernel/gpu') + madeOf('kernel/cpu') - before
}

test('a net is generated once; an edit of a layer has the kernels of that layer generated alone', () => {
  const first = generated('tanh')
  expect(first).toBeGreaterThan(2)
  expect(generated('tanh')).toBe(0)
  const changed = generated('sigmoid')
  expect(changed).toBeGreaterThan(0)
  expect(changed).toBeLessThan(first)
})

test('a bundle does not depend on what is remembered', () => {
  compile(net('tanh'))
  const after = compile(net('sigmoid'))
  clearCompileCache()
  expect(cachedBytes()).toBe(0)
  const alone = compile(net('sigmoid'))
  expect(after.manifest).toEqual(alone.manifest)
  expect([...after.files]).toEqual([...alone.files])
})
