import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-import-'))

test('tells what is no model, and what to do', async () => {
  const file = join(folder, 'net.weights')
  writeFileSync(file, 'x')
  const said = await fusenet(['import', file, '-o', join(folder, 'out')])
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toContain('a .weights file holds weights; the net is in a .cfg')
  expect(json(await fusenet(['import', file, '-o', join(folder, 'out'), '--json'])).error.problems).toEqual([
    { where: 'net.weights', what: expect.any(String), mend: expect.stringContaining('net.cfg net.weights') },
  ])
})

test.each([
  [['--shape', 'data=3x'], /say it as NAME=3x224x224/],
  [['--shape', 'data=3x0'], /sizes are whole numbers from 1 on/],
  [['--name', '3d'], /no digit in front/],
])('refuses %j', async (options, message) => {
  const said = await fusenet(['import', 'model.onnx', '-o', join(folder, 'out'), ...options])
  expect(said.code).toBe(2)
  expect(said.err).toMatch(message)
})

test('writes into no folder of others', async () => {
  const file = join(folder, 'net.cfg')
  writeFileSync(file, '[net]\n')
  const used = join(folder, 'used')
  mkdirSync(used)
  writeFileSync(join(used, 'thesis.txt'), 'x')
  const said = await fusenet(['import', file, '-o', used])
  expect(said).toMatchObject({ code: 1, err: expect.stringContaining('holds other files (thesis.txt)') })
})
