import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'

let folder: string
const at = (name: string): string => join(folder, name)
const picture = (name: string, width: number, height: number, orientation?: number): Promise<unknown> =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 10, b: 90 } } }).withMetadata({
    ...(orientation && { orientation }),
  })
    .jpeg().toFile(at(name))

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-fit-'))
  for (const channels of [1, 3]) {
    await writeFile(at(`net${channels}.net`), `net n {\n  input image: f32[${channels}, 8, 8]\n  output y = image -> fc(2)\n}\n`)
    expect((await fusenet(['compile', at(`net${channels}.net`), '-o', at(`net${channels}`), '--targets', 'wasm'])).code).toBe(0)
  }
  await picture('wide.jpg', 40, 20)
  await picture('square.jpg', 20, 20)
  await picture('nearly.jpg', 41, 40)
  await picture('tall.jpg', 20, 40)
  // It lies on its side: upright it is 30 wide and 60 high.
  await picture('turned.jpg', 60, 30, 6)
  await sharp({ create: { width: 16, height: 16, channels: 3, background: '#777777' } }).toColourspace('b-w').png().toFile(at('grey.png'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const notesOf = async (net: string, ...pictures: string[]): Promise<readonly string[]> =>
  json(await fusenet(['run', at(net), ...pictures.map(at), '--device', 'wasm', '--json'])).notes ?? []

test('a picture of another form is cut, and that is told', async () => {
  expect(await notesOf('net3', 'wide.jpg')).toEqual([
    'wide.jpg: 40 x 20 is scaled to cover the 8 x 8 of image, and what lies beyond is cut off',
  ])
  expect(await notesOf('net3', 'square.jpg', 'tall.jpg', 'wide.jpg')).toEqual([
    '2 of 3 pictures (tall.jpg, ...): 20 x 40 is scaled to cover the 8 x 8 of image, and what lies beyond is cut off',
  ])
  expect(await notesOf('net3', 'turned.jpg')).toEqual([
    'turned.jpg: 30 x 60 is scaled to cover the 8 x 8 of image, and what lies beyond is cut off',
  ])
  expect(await notesOf('net3', 'square.jpg', 'nearly.jpg')).toEqual([])
})

test('a grey picture is told where the net takes colour, and not where it takes grey', async () => {
  expect(await notesOf('net3', 'grey.png')).toEqual(['grey.png: grey, where image takes colour: its 3 channels are the same'])
  expect(await notesOf('net3', 'square.jpg', 'grey.png')).toEqual([
    '1 of 2 pictures (grey.png): grey, where image takes colour: its 3 channels are the same',
  ])
  expect(await notesOf('net1', 'grey.png')).toEqual([])
})
