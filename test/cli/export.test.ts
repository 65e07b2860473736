import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { exportOnnx } from '../../export/index.ts'
import { bytesSource } from '../../import/byte-source.ts'
import { readCaffe } from '../../import/caffe/read.ts'
import { readOnnx } from '../../import/onnx/read.ts'
import { trained } from '../export/onnx-runtime.ts'
import { fusenet, json } from './helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-export-'))
const text = `net tiny {
  input image: f32[2, 4, 4]
  input label: class["cat", "dog"]
  logits = image -> conv(3, 3) as conv1 -> batch_norm -> relu -> fc(2)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
`
const file = join(folder, 'tiny.net')
writeFileSync(file, text)

test('writes a model, says how its weights came to be and whether it was checked, and replaces its own', async () => {
  const model = join(folder, 'new', 'tiny.onnx')
  const said = await fusenet(['export', file, '--to', 'onnx', '-o', model])
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(said.out).toMatch(
    /tiny.onnx: tiny, opset 17, 6 nodes.*\n  inputs   image \[N, 2, 4, 4\]\n  outputs  prob \[N, 2\]\n  weights  as they start/,
  )
  expect(said.out).toMatch(/checked/)
  const { facts, inputs } = readOnnx(bytesSource('tiny.onnx', readFileSync(model)))
  expect(inputs).toEqual([{ value: 'image', shape: [2, 4, 4] }])
  expect(JSON.stringify(facts)).toContain('fusenet')
  expect(readFileSync(model, 'latin1')).toContain('{"prob":["cat","dog"]}')

  const again = json(await fusenet(['export', file, '--to', 'onnx', '--fold', '--opset', '20', '-o', model, '--json', '--no-check']))
  expect(again).toMatchObject({ opset: 20, trained: false, checked: false, outputs: [{ name: 'prob', shape: ['N', 2] }] })
  expect(readdirSync(join(folder, 'new'))).toEqual(['tiny.onnx'])
})

test('writes over no file of others, and nothing of a net that it cannot export', async () => {
  const other = join(folder, 'other.onnx')
  writeFileSync(other, 'x')
  expect(await fusenet(['export', file, '--to', 'onnx', '-o', other]))
    .toMatchObject({ code: 1, err: expect.stringContaining('fusenet did not write it: name another file') })
  mkdirSync(join(folder, 'dir.onnx'))
  expect(await fusenet(['export', file, '--to', 'onnx', '-o', join(folder, 'dir.onnx')])).toMatchObject({
    code: 1,
    err: expect.stringContaining('is a folder'),
  })
  const lossy = join(folder, 'lossy.net')
  writeFileSync(lossy, text.replace('softmax(logits)', 'softmax_loss(logits, label)'))
  const said = json(await fusenet(['export', lossy, '--to', 'onnx', '-o', join(folder, 'lossy.onnx'), '--json']))
  expect(said.error.problems).toEqual([{ where: expect.any(String), what: 'softmax_loss has no equal in ONNX', mend: expect.any(String) }])
  expect(existsSync(join(folder, 'lossy.onnx'))).toBe(false)
})

test('writes a net of Caffe: the prototxt, and the weights beside it', async () => {
  const prototxt = join(folder, 'caffe', 'tiny.prototxt')
  const said = await fusenet(['export', file, '--to', 'caffe', '--batch', '3', '-o', prototxt])
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(said.out).toMatch(
    /tiny.prototxt: tiny, 7 layers\n.*tiny.caffemodel: its weights.*\n  inputs   image \[3, 2, 4, 4\]\n  outputs  prob\n  weights  as they start/,
  )
  const { inputs, results } = readCaffe(bytesSource('tiny.prototxt', readFileSync(prototxt)), {
    weights: bytesSource('tiny.caffemodel', readFileSync(join(folder, 'caffe', 'tiny.caffemodel'))),
  })
  expect([inputs, results]).toMatchObject([[{ value: 'image', shape: [2, 4, 4] }], [{ kind: 'output', name: 'prob' }]])
  // Its own are replaced; those of others, and weights of others beside it, are not.
  expect(json(await fusenet(['export', file, '--to', 'caffe', '-o', prototxt, '--json']))).toMatchObject({ layers: 7, trained: false })
  expect(readdirSync(join(folder, 'caffe'))).toEqual(['tiny.caffemodel', 'tiny.prototxt'])
  writeFileSync(join(folder, 'caffe', 'other.prototxt'), 'name: "other"')
  writeFileSync(join(folder, 'caffe', 'weights.caffemodel'), 'x')
  for (const [name, why] of [['other', 'fusenet did not write it'], ['weights', 'is there already']] as const) {
    expect(await fusenet(['export', file, '--to', 'caffe', '-o', join(folder, 'caffe', `${name}.prototxt`)]))
      .toMatchObject({ code: 1, err: expect.stringContaining(why) })
  }
})

test.each([
  [['-o', 'net.pb'], /a model of ONNX ends in .onnx/],
  [['-o', 'net.onnx', '--opset', '7'], /opsets 13 to 23/],
  [['-o', 'net.onnx', '--batch', '2'], /--batch goes with --to caffe/],
  [['--to', 'caffe', '-o', 'net.onnx'], /a net of Caffe ends in .prototxt/],
  [['--to', 'caffe', '--to', 'onnx', '-o', 'net.onnx'], /--to is given twice: caffe and onnx/],
])('refuses %j', async (options, message) => {
  const said = await fusenet(['export', file, ...(options.includes('--to') ? [] : ['--to', 'onnx']), ...options])
  expect(said.code).toBe(2)
  expect(said.err).toMatch(message)
})

test("the file's ending says the format", async () => {
  const said = json(await fusenet(['export', file, '-o', join(folder, 'by-ending.prototxt'), '--json']))
  expect(said).toMatchObject({ trained: false })
  expect(await fusenet(['export', file, '-o', join(folder, 'net.pt')])).toMatchObject({
    code: 2,
    err: expect.stringContaining('a model of ONNX ends in .onnx, a net of Caffe in .prototxt'),
  })
})

test('weights that a model does not hold lie in a file beside it', () => {
  const bundle = compile('net wide {\n  input x: f32[300]\n  output y = x -> fc(40) as a -> fc(30) as b\n}\n', {
    targets: [],
    programs: ['infer'],
  })
  const weights = trained(bundle)
  const source = { ...bundle, weights }
  expect(() => exportOnnx(source, { most: 1000 })).toThrow(/name a file that takes them/)
  const { model, data } = exportOnnx(source, { most: 1000, beside: 'wide.onnx.data' })
  const [bytes, beside] = [model, data!].map((each) => Buffer.concat([...each.parts()])) as [Buffer, Buffer]
  expect([bytes.length, beside.length]).toEqual([model.bytes, data!.bytes])
  // Small ones stay, the others begin at pages.
  expect(beside.length).toBe(49152 + 4 * 30 * 40)
  const read = readOnnx(bytesSource('wide.onnx', bytes), { beside: (path) => bytesSource(path, beside) })
  for (const layer of read.layers)
    for (const [role, tensor] of Object.entries(layer.parameters ?? {}))
      expect(tensor.values(), layer.name).toEqual(weights.get(`${layer.name}.${role}`)!.data)
})

const PYTHON = '/usr/bin/python3'
const hasChecker = (): boolean => {
  try {
    execFileSync(PYTHON, ['-c', 'import onnx'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!hasChecker())('the checker of ONNX, with its inference of shapes, finds nothing (python3-onnx)', async () => {
  const layers = [
    'avg_pool(3, stride: 2, pad: 1, round: ceil) -> batch_norm(affine: false) -> scale',
    'resize([9, 5]) -> group_norm(2) -> gelu -> layer_norm(axis: 3) -> max_pool(2, round: ceil)',
    'deconv(4, 3, stride: 2, pad: same) -> lrn(3) -> reduce_mean([2, 3]) -> prelu -> clip(0, 6) -> softmax(1, end: -1)',
    'avg_pool(2, stride: 1, dilation: 2) -> slice(1, 0, 2) -> transpose([0, 2, 3, 1]) -> fc(3, axis: 3) -> arg_max(-1)',
  ]
  const models = layers.map((layer, i) => {
    const bundle = compile(`net one {\n  input x: f32[4, 6, 6]\n  output y = x -> ${layer}\n}\n`, { targets: [], programs: ['infer'] })
    const { model } = exportOnnx({ ...bundle, weights: trained(bundle) }, { opset: 13 + i })
    const path = join(folder, `${i}.onnx`)
    writeFileSync(path, Buffer.concat([...model.parts()]))
    return path
  })
  const script = 'import onnx, sys\nfor f in sys.argv[1:]: onnx.checker.check_model(onnx.load(f), full_check=True)'
  expect(execFileSync(PYTHON, ['-c', script, ...models], { encoding: 'utf8', stdio: 'pipe' })).toBe('')
})
