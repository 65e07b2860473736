import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { type CacheKind, clearCompileCache, madeOf } from '../../compiler/compile-cache.ts'
import { fusenet, json } from './helper.ts'

const NET = `net small {
  input x: f32[4]
  input label: class[3]
  logits = x -> fc(5, bias: false) -> batch_norm -> relu -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
  metric right = accuracy(logits, label)
}
train {
  batch 4
  solver sgd(lr: 0.1, momentum: 0.9)
  epochs 1
}
`

let folder: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-unasked-'))
  await writeFile(at('small.net'), NET)
  await writeFile(at('infers.net'), 'net infers {\n  input x: f32[4]\n  output y = x -> fc(2)\n}\n')
  const rows = Array.from({ length: 20 }, (_, i) => [1, 2, 3, 4].map((k) => Math.sin(i * k).toFixed(2)))
  const table = (head: string, row: (values: readonly string[], i: number) => unknown) => [head, ...rows.map(row), ''].join('\n')
  await writeFile(at('x.csv'), table('a,b,c,d', (values) => values.join()))
  await writeFile(at('labelled.csv'), table('a,b,c,d,label', (values, i) => `${values.join()},${i % 3}`))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const KINDS: readonly CacheKind[] = ['plan', 'kernel/cpu', 'kernel/gpu']

/** What is made anew, of each kind. */
async function countsOf(work: () => unknown): Promise<Record<string, number>> {
  clearCompileCache()
  const before = KINDS.map(madeOf)
  await work()
  return Object.fromEntries(KINDS.map((kind, i) => [kind, madeOf(kind) - before[i]!]))
}

const inFolder = (argv: string): string[] => argv.split(' ').map((word) => (/\.(net|csv)$/.test(word) ? at(word) : word))

describe('a net is compiled for what a verb runs alone', () => {
  test.each([
    ['run small.net x.csv', ['infer']],
    ['run small.net x.csv --stats batch', ['infer/batch']],
    ['eval small.net --data labelled.csv', ['eval']],
    ['eval small.net --data labelled.csv --per-class --stats batch', ['eval/batch', 'infer/batch']],
    ['step small.net --input labelled.csv', ['step']],
    ['step small.net --input labelled.csv --solver-off --stats global', ['gradients/global']],
    ['bench small.net --against merged --programs infer --repeat 1', ['infer']],
    ['bench small.net --against merged --repeat 1', ['infer', 'train']],
  ])('%s', async (argv, programs) => {
    const wanted = await countsOf(() => compile(NET, { programs, targets: ['wasm'] }))
    expect(wanted).toEqual({ plan: 1, 'kernel/cpu': expect.any(Number), 'kernel/gpu': 0 })
    const found = await countsOf(async () => {
      const { code, err } = await fusenet([...inFolder(argv), '--device', 'wasm', '--threads', '1', '--json'])
      expect(code, err).toBe(0)
    })
    expect(found).toEqual(wanted)
  })
})

test('a net that normalizes nothing infers and is evaluated with whatever statistics', async () => {
  await writeFile(at('plain.net'), NET.replace(' -> batch_norm', ''))
  const by = async (verb: string, stats: string): Promise<any> => {
    const said = await fusenet([...inFolder(verb), '--stats', stats, '--weights', 'fresh', '--device', 'wasm', '--threads', '1', '--json'])
    expect(said.code, said.err).toBe(0)
    return json(said)
  }
  expect((await by('run plain.net x.csv', 'batch')).outputs).toEqual((await by('run plain.net x.csv', 'global')).outputs)
  const evaluation = 'eval plain.net --data labelled.csv --per-class'
  const [own, stored] = [await by(evaluation, 'batch'), await by(evaluation, 'global')]
  // Samples are in another order, for batches of all classes.
  expect(own.loss).toBeCloseTo(stored.loss, 5)
  expect(own.metrics.right).toBeCloseTo(stored.metrics.right, 5)
})

test('a net that lacks what is asked for is told what it has, all of it', async () => {
  const { code, err } = await fusenet(inFolder('eval infers.net --data x.csv --device wasm'))
  expect(code).toBe(1)
  expect(err).toContain('this net has no program eval: it has no loss and no metric')
})

test('a bundle that is compiled again is compiled for what runs alone, and still for none but its own devices', async () => {
  expect((await fusenet([...inFolder('compile small.net -o'), at('gpu'), '--targets', 'webgpu'])).code).toBe(0)
  const refused = await fusenet(['run', at('gpu'), at('x.csv'), '--style', 'split', '--device', 'wasm'])
  expect(refused.err).toContain('this bundle holds no plan for wasm (it holds webgpu)')
  expect((await fusenet([...inFolder('compile small.net -o'), at('both')])).code).toBe(0)
  const wanted = await countsOf(() => compile(NET, { programs: ['infer'], targets: ['wasm'], style: 'split' }))
  expect(
    await countsOf(async () => json(await fusenet(['run', at('both'), at('x.csv'), '--style', 'split', '--device', 'wasm', '--json']))),
  ).toEqual(wanted)
})
