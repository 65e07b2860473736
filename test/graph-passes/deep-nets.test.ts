import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { check, compile } from '../../compiler/index.ts'
import type { Manifest } from '../../bundle/format.ts'

const sample = (name: string): string => readFileSync(new URL(`../../samples/${name}.net`, import.meta.url), 'utf8')
const chain = (count: number, body: string, more = ''): string =>
  `net n { input x: f32[2, 2, 2] y = x for i in 0..${count} { ${body} } output o = y ${more} }`
const inferring = (text: string, style: 'merged' | 'split'): Manifest =>
  compile(text, { style, targets: ['wasm'], programs: ['infer'] }).manifest

test('ResNet-1202 (He et al. 2015, section 4.2)', () => {
  const text = sample('resnet20').replace('0..3 {', '0..200 {')
  expect(check(text)).toEqual([])
})

describe('a chain of 5000 point-wise layers', () => {
  const text = chain(5000, 'y = y -> relu')
  test('split: a pass a layer', () => expect(inferring(text, 'split').plans['wasm']!.programs['infer']!.dispatches).toHaveLength(5000))

  // 64 operations within each other at most, the load among them.
  test('merged: few passes, none endless', () => {
    const { dispatches } = inferring(text, 'merged').plans['wasm']!.programs['infer']!
    expect(dispatches).toHaveLength(Math.ceil(5000 / 63))
    expect(new Set(dispatches.flatMap((d) => d.facts!.layers)).size).toBe(5000)
    expect(dispatches.every((d) => d.name.length < 300)).toBe(true)
  })
})

test('a chain of 5000 views, and of layers that testing leaves out', () => {
  expect(
    inferring(chain(2500, 'y = y -> reshape([4, 2]) -> reshape([2, 2, 2])'), 'merged').plans['wasm']!.programs['infer']!.dispatches.length,
  ).toBeLessThan(2)
  expect(inferring(chain(5000, 'y = y -> dropout(0.5)'), 'merged').plans['wasm']!.programs['infer']!.dispatches.length).toBeLessThan(2)
})

// x * f(x): each step has the one before twice, so it has 2^60 paths and 60 layers.
test('shared parts of an expression are looked at once', () => {
  const { plans } =
    compile(chain(60, 'y = mul(y, y -> sigmoid)', 'loss = sum(y)'), { targets: ['wasm'], programs: ['infer', 'train'] }).manifest
  expect(plans['wasm']!.programs['infer']!.dispatches.length).toBeLessThan(40)
})

test('what is stored is bounded by the depth, not squared: places are told by few others', () => {
  const { plans } = compile(chain(150, 'y = y -> conv(2, 1) -> tanh', 'loss = sum(y)'), { targets: ['wasm'], programs: ['train'] }).manifest
  const { tensors } = plans['wasm']!
  expect(tensors.reduce((sum, t) => sum + (t.behind?.length ?? 0), 0)).toBeLessThan(3 * tensors.length)
})
