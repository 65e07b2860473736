import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { filesOf } from '../../cli/glob.ts'
import { csvOf } from '../../cli/predictions.ts'
import type { Bundle, TensorData } from '../../bundle/format.ts'
import { encodeNpy, parseNpy } from '../../runtime/loading/npy.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { fusenet, json } from './helper.ts'

let folder: string
const at = (...names: string[]): string => join(folder, ...names)
/** prob = softmax(4 (sum of reds, greens, blues)): of a pure colour 1 / (1 + 2 e^-16) is its class. */
const NET = `net colours {
  input image: f32[3, 2, 2]
  input label: class[red, "light green", blue]
  y = image -> flatten -> fc(3) as fc1
  output prob = softmax(y)
  loss = softmax_loss(y, label)
}
train { solver sgd(lr: 0.1) }`
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-run-'))
  await writeFile(at('colours.net'), NET)
  const weight = Float32Array.from({ length: 36 }, (_, i) => (Math.floor(i / 12) === Math.floor((i % 12) / 4) ? 4 : 0))
  await writeFile(
    at('w.safetensors'),
    writeSafetensors(
      new Map<string, TensorData>([['fc1.weight', { shape: [3, 12], type: 'f32', data: weight }], ['fc1.bias', {
        shape: [3],
        type: 'f32',
        data: new Float32Array(3),
      }]]),
    ),
  )
  const paint = async (path: string, background: string): Promise<void> => {
    await mkdir(join(path, '..'), { recursive: true })
    await sharp({ create: { width: 5, height: 4, channels: 3, background } }).png().toFile(path)
  }
  await paint(at('some', 'b, blue.png'), '#00f')
  await paint(at('some', 'a.png'), '#f00')
  await paint(at('some', 'deep', 'c.png'), '#0f0')
  await writeFile(at('some', 'notes.txt'), '')
  const compiled = await fusenet(['compile', at('colours.net'), '--weights', at('w.safetensors'), '-o', at('colours')])
  expect(compiled.code, compiled.err).toBe(0)
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const run = (...more: string[]) => fusenet(['run', at('colours'), '--device', 'interpreter', ...more])

describe('run', () => {
  test('a folder: a row a picture with its file, its class and how sure it is', async () => {
    const { code, out, err } = await run('--input', at('some'))
    expect(code, err).toBe(0)
    const rows = out.split('\n').slice(2).filter((line) => line !== '').map((line) => line.split(/ {2,}/).slice(0, 3))
    expect(rows).toEqual([[at('some', 'a.png'), 'red', '100.00 %'], [at('some', 'b, blue.png'), 'blue', '100.00 %'], [
      at('some', 'deep', 'c.png'),
      'light green',
      '100.00 %',
    ]])
    expect(err).toContain('left out: 1 .txt')
  })

  test('CSV, .npy and .safetensors with the rows as printed; JSON with names', async () => {
    const said = await run(
      at('some', 'b, blue.png'),
      at('some', 'a.png'),
      '-o',
      at('o.csv'),
      '-o',
      at('o.npy'),
      '-o',
      at('o.safetensors'),
      '--json',
    )
    expect(said.code, said.err).toBe(0)
    const rows = (await readFile(at('o.csv'), 'utf8')).trimEnd().split('\n')
    expect(rows[0]).toBe('file,red,light green,blue')
    expect(rows[1]!.startsWith(`"${at('some', 'b, blue.png')}",`)).toBe(true)
    const values = rows.slice(1).map((row) => row.split(',').slice(-3).map(Number))
    const off = Math.exp(-16) / (1 + 2 * Math.exp(-16))
    values.flat().forEach((value, i) => expect(value).toBeCloseTo([off, off, 1 - 2 * off, 1 - 2 * off, off, off][i]!, 9))
    expect([...parseNpy(await readFile(at('o.npy')), 'o').data as Float64Array]).toEqual(values.flat())
    expect([...readSafetensors(await readFile(at('o.safetensors'))).tensors.get('prob')!.data as Float64Array]).toEqual(values.flat())
    expect(json(said)).toMatchObject({
      samples: 2,
      inputs: [at('some', 'b, blue.png'), at('some', 'a.png')],
      classes: { prob: ['red', 'light green', 'blue'] },
      best: { prob: [{ label: 2, name: 'blue' }, { label: 0, name: 'red' }] },
    })
  })

  test('patterns that the shell left alone, an array, a net that reads its input only behind flatten', async () => {
    expect(json(await run('--input', at('some', '**', '[ab]*.{png,jpg}'), '--json')).inputs).toEqual([
      at('some', 'a.png'),
      at('some', 'b, blue.png'),
    ])
    await writeFile(
      at('x.npy'),
      encodeNpy({ shape: [2, 3, 2, 2], type: 'f32', data: Float32Array.from({ length: 24 }, (_, i) => Number(i < 4 || i >= 20)) }),
    )
    expect(json(await run('--input', at('x.npy'), '--json')).best.prob.map((best: any) => best.name)).toEqual(['red', 'blue'])
  })

  test('scores that are not numbers name no class', async () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => (i < 12 ? NaN : Number(i >= 20)))
    await writeFile(at('nan.npy'), encodeNpy({ shape: [2, 3, 2, 2], type: 'f32', data }))
    const { code, out, err } = await run(at('nan.npy'))
    expect(code, err).toBe(0)
    const rows = out.trimEnd().split('\n').slice(2)
    expect(rows.slice(0, 2).map((row) => row.trim().split(/ {2,}/).slice(0, 3))).toEqual([['0', '-', 'NaN'], ['1', 'blue', '100.00 %']])
    expect(rows[2]).toBe('1 sample of 2: scores that are not numbers, so no class')
    expect(json(await run(at('nan.npy'), '--json')).best.prob).toEqual([null, expect.objectContaining({ label: 2, name: 'blue' })])
  })

  test('bytes where pictures are 0..1 are told', async () => {
    await writeFile(
      at('bytes.npy'),
      encodeNpy({ shape: [1, 3, 2, 2], type: 'u8', data: Uint8Array.from({ length: 12 }, (_, i) => 20 * i) }),
    )
    await writeFile(
      at('floats.npy'),
      encodeNpy({ shape: [1, 3, 2, 2], type: 'f32', data: Float32Array.from({ length: 12 }, (_, i) => 20 * i + 0.5) }),
    )
    for (const file of ['bytes.npy', 'floats.npy'])
      expect((await run(at(file))).err).toMatch(/numbers up to 220.*pictures that fusenet reads itself are 0\.\.1.*divide by 255/)
    expect((await run(at('x.npy'))).err).not.toContain('255')
  })

  test.each([
    ['a folder without pictures', () => [folder.replace(/$/, '/colours')], /holds no pictures .*there are .*\.json/],
    ['a pattern that matches nothing', () => [at('some', '*.gif')], /nothing in .*some matches/],
    ['a pattern that matches no pictures', () => [at('some', '*.txt')], /no pictures match .*1 \.txt/],
    ['an array twice', () => [at('x.npy'), at('x.npy')], /image is given twice/],
    ['another kind of result', () => [at('x.npy'), '-o', at('o.txt')], /written to \.csv, \.safetensors or \.npy/],
  ])('%s is refused', async (_, given, reason) => expect((await run(...given())).err).toMatch(reason))

  test('the types of an ES module know the input and the classes', async () => {
    const said = await fusenet(['compile', at('colours'), '--format', 'esm', '-o', at('m.js')])
    expect(said.code, said.err).toBe(0)
    const types = await readFile(at('m.d.ts'), 'utf8')
    expect(types).toContain("readonly inputs: {\n    /** float32 [n, 3, 2, 2] */\n    readonly image: 'f32'")
    expect(types).toContain('["red", "light green", "blue"]')
    expect(types).toContain('/** [n, 3]: of red, light green, blue */')
  })
})

test('a table of several results, of numbers, of maps', () => {
  const bundle = { manifest: { inputs: [], outputs: [] } } as unknown as Bundle
  const y: TensorData = { shape: [2, 2], type: 'f32', data: Float32Array.of(1, 2, 3, 4) }
  const z: TensorData = { shape: [2, 1], type: 'f32', data: Float32Array.of(5, 6) }
  expect(csvOf(new Map([['y', y], ['z', z]]), bundle, 2, ['a "b"', 'c'])).toBe('file,y_0,y_1,z\n"a ""b""",1,2,5\nc,3,4,6\n')
  expect(csvOf(new Map([['z', z]]), bundle, 2, undefined)).toBe('sample,z\n0,5\n1,6\n')
  expect(csvOf(new Map([['m', { shape: [1, 2, 2], type: 'f32', data: new Float32Array(4) }]]), bundle, 1, undefined)).toBeUndefined()
})

test('files of a pattern', async () => {
  expect(await filesOf(at('some', '?.png'))).toEqual([at('some', 'a.png')])
  expect(await filesOf(at('some', '[!a]*'))).toEqual([at('some', 'b, blue.png'), at('some', 'notes.txt')])
  expect(await filesOf(at('some', '*', '*.png'))).toEqual([at('some', 'deep', 'c.png')])
  expect(await filesOf(at('nowhere', '*'))).toEqual([])
})
