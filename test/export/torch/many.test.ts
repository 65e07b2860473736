import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { compile } from '../../../compiler/index.ts'
import { exportTorch } from '../../../export/index.ts'
import { writeSafetensors } from '../../../runtime/index.ts'
import { labels, normals } from '../../support/random-net.ts'
import { trained } from '../onnx-runtime.ts'
import { hasTorch, PYTHON } from './cases.ts'

/** Both spellings of batch normalization, three ways to keep statistics, ignored labels, dropout, a head that no loss reads. */
const NET = `
net many {
  input image: f32[1, 12, 12]
  input label: class[4]
  x = image -> conv(6, 3, pad: 1, bias: false) -> batch_norm -> relu -> max_pool(2)
    -> conv(8, 3, bias: false) -> batch_norm(affine: false, stats: caffe) -> scale(bias: true) -> relu
  logits = x -> fc(16, bias: false) -> batch_norm(stats: cumulative, unbiased: true) -> relu -> dropout(0.4) -> fc(4)
  output prob  = softmax(logits)
  output other = x -> fc(3) as other
  loss            = softmax_loss(logits, label, ignore: 3)
  metric accuracy = accuracy(logits, label)
}
train {
  batch 13
  accumulate 2
  augment mirror, crop(12, pad: 2)
  solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 5e-4, clip_gradients: 2)
}`
const SAMPLES = 120

/** MANY=all: 2, 3 and 4 processes; else 3, none of whose shares of a batch of 13 are equal. */
const worlds = process.env['MANY'] === 'all' ? [2, 3, 4] : [3]

interface Apart {
  readonly float64: boolean
  readonly processes: number
  readonly apart: number
  readonly where: string
  readonly tests: number
  /** With `--beside`: how far the training with statistics of the whole batch is from it. */
  readonly whole?: number
}

/** The folder of an export of a net, with samples beside it; its cumulative statistics are of no batch yet. */
function exported(net: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fusenet-many-'))
  const bundle = compile(net, { targets: [] })
  const start = trained(bundle)
  for (const [name, { data }] of start) if (name.endsWith('.count')) (data as Float64Array).fill(0)
  const { texts, weights } = exportTorch({ ...bundle, weights: start as never })
  for (const [path, text] of texts) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  writeFileSync(join(folder, 'weights.safetensors'), Buffer.concat([...weights.parts()]))
  writeFileSync(
    join(folder, 'data.safetensors'),
    writeSafetensors(
      new Map([
        ['image', { shape: [SAMPLES, 1, 12, 12], type: 'f32', data: normals(SAMPLES * 144, 1) }],
        ['label', { shape: [SAMPLES], type: 'i32', data: labels(SAMPLES, 4, 2) }],
      ]),
    ),
  )
  return folder
}

/** What many.py prints: an object a line. */
function many(folder: string, ...args: string[]): Apart[] {
  const told = execFileSync(PYTHON, [join(import.meta.dirname, 'many.py'), folder, ...args], { encoding: 'utf8' })
  return told.trim().split('\n').map((line) => JSON.parse(line) as Apart)
}

test.skipIf(!hasTorch())('several processes train as one with the whole batch (python3-torch)', () => {
  const found = many(exported(NET), worlds.join(), '--data', 'data.safetensors', '--steps', '20')
  expect(found).toHaveLength(2 * worlds.length)
  for (const { float64, processes, apart, where, tests } of found) {
    const what = `${processes} processes in ${float64 ? 'float64' : 'float32'}: ${where} is ${apart} apart, the test ${tests}`
    expect(apart, what).toBeLessThan(float64 ? 1e-12 : 1e-5)
    expect(tests, what).toBeLessThan(float64 ? 1e-12 : 1e-5)
  }
}, 300_000)

/**
 * Normalized in each of three processes, a batch of 12 is three batches of 4 whose gradients are summed, and a cumulative mean of statistics
 * is the mean of the processes' own. Without dropout and augmentation, which depend on the place in the batch.
 */
test.skipIf(!hasTorch())('with --local-batch-norm a share is a batch of its own (python3-torch)', () => {
  const net = (accumulate: number) => `
net local {
  input image: f32[1, 12, 12]
  input label: class[4]
  logits = image -> conv(6, 3, pad: 1, bias: false) -> batch_norm(stats: cumulative) -> relu -> max_pool(2)
    -> conv(8, 3, bias: false) -> batch_norm(affine: false, stats: cumulative) -> scale(bias: true) -> relu -> fc(4)
  output prob     = softmax(logits)
  loss            = softmax_loss(logits, label)
  metric accuracy = accuracy(logits, label)
}
train { batch 12 accumulate ${accumulate} solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 5e-4) }`
  const beside = exported(net(3))
  const [found] = many(exported(net(1)), '3', '--beside', beside, '--data', 'data.safetensors', '--steps', '10', '--batch', '12')
  expect(found!.apart, found!.where).toBeLessThan(1e-12)
  expect(found!.tests).toBeLessThan(1e-12)
  // And it is another training than with the statistics of the whole batch.
  expect(found!.whole).toBeGreaterThan(1e-3)
}, 300_000)
