import { expect, test } from 'vitest'
import { check, compile, interpreter } from '../../compiler/index.ts'
import { open } from '../../runtime/index.ts'

const net = (body: string): string => `net n {\n input x: f32[7]\n ${body}\n}`
const X = [-2.5, -1, -0.5, 0, 0.5, 1, 2.5]

/** What a net gives for X. */
async function values(body: string): Promise<number[]> {
  const opened = await open(compile(net(body), { targets: [] }), { device: interpreter(), batch: 1 })
  const { y } = await opened.run({ x: Float32Array.from(X) })
  opened.close()
  return [...y!].map((v) => v + 0)
}

test.each([
  ['x > 0', (x: number) => x > 0],
  ['0 > x', (x: number) => 0 > x],
  ['x < 1', (x: number) => x < 1],
  ['x >= 0.5', (x: number) => x >= 0.5],
  ['0 <= x', (x: number) => 0 <= x],
  ['x <= -1', (x: number) => x <= -1],
  ['x == 1', (x: number) => x === 1],
  ['x != 0', (x: number) => x !== 0],
])('the way out of a comparison of tensors, %s, is that comparison', async (comparison, holds) => {
  const [told, ...others] = check(net(`output y = where(${comparison}, 3, 4)`))
  expect(others).toEqual([])
  const [, written] = /(where\(.*, (?:a, b|b, a)\)) is a where/.exec(told!.hint!)!
  const [yes, no] = written!.endsWith('a, b)') ? ['3', '4'] : ['4', '3']
  expect(await values(`output y = ${written!.replace(/, [ab], [ab]\)$/, `, ${yes}, ${no})`)}`)).toEqual(X.map((x) => (holds(x) ? 3 : 4)))
})

test.each([
  ['sign', Math.sign],
  ['trunc', Math.trunc],
  ['step', (x: number) => (x > 0 ? 1 : 0)],
  ['fmod', (x: number) => x - Math.floor(x / 2) * 2],
  ['frac', (x: number) => x - Math.floor(x)],
])('so is what is written for %s', async (name, f) => {
  const [told] = check(net(`output y = x -> ${name}`))
  const [, written] = /^((?:where|sub)\(.*\)) is /.exec(told!.hint!)!
  expect(await values(`output y = ${written!.replaceAll('(n)', '(2)')}`)).toEqual(X.map((x) => f(x) + 0))
})
