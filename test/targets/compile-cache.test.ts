import { beforeEach, expect, test } from 'vitest'
import { cachedBytes, clearCompileCache, madeOf } from '../../compiler/compile-cache.ts'
import { compile } from '../../compiler/index.ts'
import { chooseTargets } from '../../compiler/targets/targets.ts'

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

const trained = (lr: number, activation = 'relu'): string =>
  `net small {
  input x: f32[3, 8, 8]
  input label: class[5]
  y = x -> conv(4, 3, pad: 1) -> ${activation} -> fc(5)
  output z = softmax(y)
  loss = softmax_loss(y, label)
}
train {
  batch 4
  steps 10
  solver sgd(lr: ${lr}, momentum: 0.9)
}
`

/** Plans that a compilation lays out. */
function plansMade(text: string): number {
  const before = madeOf('plan')
  compile(text)
  return madeOf('plan') - before
}

test('a learning rate, a comment or a line more leaves all plans as they are; a layer does not', () => {
  const targets = chooseTargets({}).length
  expect(plansMade(trained(0.1))).toBe(targets)
  expect(plansMade(trained(0.01))).toBe(0)
  expect(plansMade(`// small\n\n${trained(0.01)}`)).toBe(0)
  expect(plansMade(trained(0.01, 'elu'))).toBe(targets)
  expect(compile(trained(0.01)).manifest.train).not.toEqual(compile(trained(0.1)).manifest.train)
})

test('what a caller does to a bundle does not reach the next one', () => {
  const text = trained(0.1)
  const wanted = JSON.stringify(compile(text).manifest)
  for (let i = 0; i < 2; i++) {
    const { manifest, files } = compile(text)
    expect(JSON.stringify(manifest)).toBe(wanted)
    ;(manifest.plans['wasm']!.tensors as unknown[]).length = 0
    for (const data of files.values()) if (typeof data !== 'string') data.fill(0)
  }
  expect([...compile(text).files.values()].some((data) => typeof data !== 'string' && data.some((byte) => byte !== 0))).toBe(true)
})

/** Makes another of everything in a value, however deep. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  const record = value as Record<string, unknown>
  for (const key of Object.keys(record)) {
    spoil(record[key])
    if (typeof record[key] === 'number') record[key] += 1
    if (typeof record[key] === 'string') record[key] += '!'
  }
  if (Array.isArray(value)) value.push(value[0])
}

test('nor does it reach what is kept for the next net', () => {
  const wanted = JSON.stringify(compile(trained(0.1, 'elu')).manifest)
  clearCompileCache()
  for (let i = 0; i < 2; i++) spoil(compile(trained(0.1)).manifest)
  expect(JSON.stringify(compile(trained(0.1, 'elu')).manifest)).toBe(wanted)
})

test('layers that an edit gave other names keep their schedules and kernels: names are put in at last', () => {
  const named = (more: string): string =>
    `net small {\n  input x: f32[3, 8, 8]\n  output z = x -> conv(4, 3, pad: 1)${more} -> relu -> conv(4, 3) -> relu -> fc(5)\n}\n`
  const made = (text: string): number[] => {
    const counts = () => (['kernel/gpu', 'schedule/gpu', 'kernel/cpu'] as const).map(madeOf)
    const before = counts()
    compile(text)
    return counts().map((count, i) => count - before[i]!)
  }
  made(named(''))
  // The layers behind it are called conv_3 and relu_3; the new one is like the first convolution but for what it reads.
  const [printed, searched, lowered] = made(named(' -> relu -> conv(4, 3, pad: 1)'))
  expect(searched).toBeGreaterThan(0)
  expect(printed).toBe(searched)
  expect(lowered).toBe(searched)
})
