import { link, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeNpy } from '../../runtime/loading/npy.ts'
import { writeSafetensors } from '../../runtime/loading/safetensors.ts'
import type { TensorData } from '../../bundle/format.ts'
import { fusenet } from './helper.ts'

/** Files that a verb must not write over, and those that it may. */
const NET = `net line {
  input x: f32[2]
  input t: f32[2]
  y = x -> fc(2) as f
  output out = y
  loss = squared_loss(y, t)
}
train { batch 2  epochs 1  solver sgd(lr: 0.1) }
`
const ROWS = 'x_0,x_1\n1,2\n3,4\n'
const pairs: TensorData = { shape: [2, 2], type: 'f32', data: Float32Array.of(1, 2, 3, 4) }

let folder: string
const home = process.cwd()
/** What is there before each command, by name. */
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  'line.net': NET,
  plain: NET,
  'x.csv': ROWS,
  'x.npy': encodeNpy(pairs),
  'both.safetensors': writeSafetensors(new Map([['x', pairs], ['t', pairs]])),
  'w.safetensors': writeSafetensors(
    new Map<string, TensorData>([['f.weight', pairs], ['f.bias', { shape: [2], type: 'f32', data: Float32Array.of(0, 0) }]]),
  ),
  'logo.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'lib.js': 'export const mine = 1\n',
  'typed.d.ts': 'export declare const mine: number\n',
  'beside.weights.safetensors': 'weights of others',
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-outputs-'))
  process.chdir(folder)
  for (const [name, data] of Object.entries(FILES)) await writeFile(name, data)
  await symlink('x.csv', 'again.csv')
  await link('x.npy', 'second.npy')
  expect((await fusenet(['compile', 'line.net', '--weights', 'w.safetensors', '-o', 'bundle'])).code).toBe(0)
})
afterAll(() => {
  process.chdir(home)
  return rm(folder, { recursive: true, force: true })
})

const isAsItWas = async (): Promise<void> => {
  for (const [name, data] of Object.entries(FILES)) expect(await readFile(name), name).toEqual(Buffer.from(data))
}
const RUN = ['run', 'bundle', '--device', 'interpreter']
const STEP = ['step', 'bundle', '--input', 'both.safetensors', '--device', 'interpreter']
const ESM = ['compile', 'line.net', '--format', 'esm']

describe('refused before anything is written', () => {
  test.each([
    ['a net, by draw', ['draw', 'line.net', '-o', 'line.net'], 2, 'a drawing ends in .svg'],
    ['a net, by draw --kernels', ['draw', 'line.net', '--kernels', '-o', 'line.net'], 2, 'a drawing ends in .svg'],
    ['a file without an ending', ['draw', 'line.net', '-o', 'plain'], 2, 'a drawing ends in .svg'],
    ['a drawing of others', ['draw', 'line.net', '-o', 'logo.svg'], 1, 'fusenet did not write it: name another file'],
    ['the table that is read', [...RUN, 'x.csv', '-o', 'x.csv'], 1, 'x.csv is what this command reads'],
    ['it through a link', [...RUN, 'x.csv', '-o', 'again.csv'], 1, 'again.csv is what this command reads'],
    ['the array that is read, by name', [...RUN, '--input', 'x=x.npy', '-o', 'out=x.npy'], 1, 'x.npy is what this command reads'],
    ['it by its second name', [...RUN, 'x.npy', '-o', 'second.npy'], 1, 'second.npy is what this command reads'],
    ['weights that are read', [...RUN, 'x.csv', '--weights', 'w.safetensors', '-o', 'w.safetensors'], 1, 'what this command reads'],
    ['weights of the bundle that runs', [...RUN, 'x.csv', '-o', 'bundle/weights.safetensors'], 1, 'what this command reads'],
    ['weights that are not read', [...STEP, '-o', 'w.safetensors'], 1, 'fusenet did not write it: name another file'],
    ['inputs of a step', [...STEP, '-o', 'both.safetensors'], 1, 'what this command reads'],
    ['two results in one file', [...RUN, 'x.csv', '-o', 'out=a.npy', '-o', 'a.npy'], 2, 'two results cannot go to one file'],
    ['a script of others', [...ESM, '-o', 'lib.js'], 1, 'lib.js is there already, and fusenet did not write it'],
    ['types of others', [...ESM, '-o', 'typed.js'], 1, 'typed.d.ts is there already, and fusenet did not write it'],
    [
      'weights of others beside a module',
      [...ESM, '--weights', 'w.safetensors', '--weights-beside', '-o', 'beside.js'],
      1,
      'beside.weights.safetensors is there already',
    ],
    ['trained weights, with their bundle', ['compile', 'line.net', '-o', 'bundle'], 1, '--weights bundle takes them along'],
    ['kernels of a bundle', ['inspect', 'line.net', '--emit-dir', 'bundle'], 1, 'bundle is a bundle: name another folder'],
  ])('%s', async (_, argv, code, why) => {
    const said = await fusenet(argv)
    expect(said).toMatchObject({ code, out: '', err: expect.stringContaining(why) })
    await isAsItWas()
  })
})

describe('an option that would say nothing is refused', () => {
  const rows = ['--input', 'x.csv']
  test.each([
    [['run', 'bundle', ...rows, '--device', 'interpreter', '--threads', '2'], '--threads is for the CPU, --device wasm'],
    [['run', 'bundle', ...rows, '--device', 'interpreter', '--no-wide'], '--no-wide is for the CPU'],
    [['bench', 'line.net', '--device', 'webgpu', '--threads', '1'], '--threads is for the CPU'],
    // Before anything is read.
    [['train', 'line.net', '--data', 'nowhere', '--threads', '17'], 'A whole number from 1 to 16 is wanted'],
    [['run', 'bundle', ...rows, '--skip-broken'], '--skip-broken leaves out pictures, and no input here is one'],
    [['eval', 'bundle', '--data', 'both.safetensors', '--skip-broken'], 'both.safetensors is no folder of pictures'],
    [['compile', 'line.net', '-o', 'no', '--no-worker'], '--no-worker is for --format esm'],
    [['compile', 'line.net', '-o', 'no', '--targets', 'webgpu', '--wide'], '--wide is for wasm'],
    [['export', 'line.net', '-o', 'no.prototxt', '--no-check'], '--no-check goes with --to onnx'],
    [['inspect', 'line.net', '--print', 'graph', '--after', 'all'], '--print graph and --after are two views'],
    [['inspect', 'line.net', '--print', 'graph', '--batch', '3'], '--batch says nothing of what --print graph shows'],
  ])('%j', async (argv, why) => {
    expect(await fusenet(argv)).toMatchObject({ code: 2, out: '', err: expect.stringContaining(why) })
  })
})

describe('replaced', () => {
  test.each([
    ['a drawing', ['draw', 'line.net', '-o', 'line.svg'], ['draw', 'line.net', '--kernels', '-o', 'line.svg'], 'line.svg'],
    ['results of a step', [...STEP, '-o', 'r.safetensors'], [...STEP, '--solver-off', '-o', 'r.safetensors'], 'r.safetensors'],
    ['a table', [...RUN, 'x.csv', '-o', 'y.csv'], [...RUN, 'x.csv', '--weights', 'fresh', '-o', 'y.csv'], 'y.csv'],
    ['a module', [...ESM, '-o', 'line.js'], [...ESM, '--style', 'split', '-o', 'line.js'], 'line.js'],
  ])('%s that fusenet wrote', async (_, first, second, name) => {
    expect(await fusenet(first)).toMatchObject({ code: 0 })
    const before = await readFile(name)
    expect(await fusenet(second)).toMatchObject({ code: 0 })
    expect(await readFile(name)).not.toEqual(before)
  })

  test('an empty file', async () => {
    await writeFile('empty.svg', '')
    expect(await fusenet(['draw', 'line.net', '-o', 'empty.svg'])).toMatchObject({ code: 0 })
    expect(await readFile('empty.svg', 'utf8')).toMatch(/^<svg/)
  })
})
