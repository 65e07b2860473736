import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bytesSource, importModel, writeNet } from '../../import/index.ts'
import type { TensorData } from '../../bundle/format.ts'
import { arrays, type Dataset, matchWeights, open, wasm } from '../../runtime/index.ts'
import { loadDataset } from '../../runtime/node.ts'

/* The sample of fine-tuning, with trainings of a few steps: its table of ten seeds takes minutes. */

const sample = join(import.meta.dirname, '../../samples/finetune')
const tools = { compile, matchWeights, open, wasm, arrays, loadDataset, bytesSource, importModel, writeNet }
const STEPS = 40

type Tensors = ReadonlyMap<string, TensorData>

interface Sample {
  trainFirst(given: object, options: { steps: number; count: number }): Promise<Tensors>
  throughOnnx(given: object, weights: Tensors): Promise<{ text: string; weights: Tensors }>
  digitsOf(mnist: Dataset, digits: readonly number[], how: object): Promise<Dataset>
  learnOthers(given: object, how: object): Promise<number>
}

let run: Sample
let weights: Tensors
beforeAll(async () => {
  run = await import(pathToFileURL(join(sample, 'run.mjs')).href) as Sample
  weights = await run.trainFirst(tools, { steps: STEPS, count: 400 })
})

test('by way of ONNX the net is the same: its text, its numbers, what it gives', async () => {
  const onnx = await run.throughOnnx(tools, weights)
  expect([...onnx.weights.keys()].sort()).toEqual([...weights.keys()].sort())
  for (const [name, { data }] of onnx.weights) expect(data, name).toEqual(weights.get(name)!.data)
  const image = Float32Array.from({ length: 2 * 28 * 28 }, (_, i) => Math.abs(Math.sin(i / 7)))
  const probabilities = async (text: string, from: Tensors): Promise<Float32Array> => {
    const net = await open(compile(text, { targets: ['wasm'], programs: ['infer'] }), { device: await wasm(), batch: 2, weights: from })
    const { prob } = await net.run({ image })
    net.close()
    return prob as Float32Array
  }
  const [own, imported] = [
    await probabilities(await readFile(join(sample, 'digits.net'), 'utf8'), weights),
    await probabilities(onnx.text, onnx.weights),
  ]
  imported.forEach((value, i) => expect(Math.abs(value - own[i]!)).toBeLessThan(1e-5))
})

test('what is reused and frozen tells other digits apart, from either source alike', async () => {
  const mnist = await loadDataset('mnist', { split: 'test' })
  const few = await run.digitsOf(mnist, [5, 6, 7, 8, 9], { ...tools, count: 20 })
  expect(few.length).toBe(100)
  const text = await readFile(join(sample, 'digits.net'), 'utf8')
  const freeze = ['*', '!head']
  const how = { few, test: few, seed: 1, epochs: 8, freeze }
  const onnx = await run.throughOnnx(tools, weights)
  const [own, imported] = [await run.learnOthers(tools, { ...how, text, weights }), await run.learnOthers(tools, { ...how, ...onnx })]
  // A guess is right once in five times.
  expect(own).toBeGreaterThan(0.6)
  expect(Math.abs(own - imported)).toBeLessThan(0.1)
})
