import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { bytesSource } from '../../../import/byte-source.ts'
import { readCaffe } from '../../../import/caffe/read.ts'
import { type WrittenNet, writeNet } from '../../../import/write/write-net.ts'
import { openLocal } from '../../../runtime/open.ts'
import type { TensorData } from '../../../runtime/index.ts'
import { caseNames, type GoldenCase, readCase } from '../../golden/golden-file.ts'
import { caffeFiles, finalBlobs, inputsOf } from './golden-prototxt.ts'

/*
 * Reference cases written as prototxt and caffemodel, imported, and run in float64: forward values, and trajectories of training. What is right
 * is what the cases say; see test/golden.
 */

const folder = join(import.meta.dirname, '../../golden/cases')
const all = caseNames(folder).map((name) => readCase(folder, name))

function importCase(golden: GoldenCase): WrittenNet | undefined {
  const files = caffeFiles(golden)
  if (!files) return undefined
  const encode = (name: string, text: string) => bytesSource(name, new TextEncoder().encode(text))
  const net = encode('net.prototxt', files.prototxt)
  const model = readCaffe(files.solver === undefined ? net : encode('solver.prototxt', files.solver), {
    ...(files.weights && { weights: bytesSource('net.caffemodel', files.weights) }),
    beside: () => net,
  })
  return writeNet(model)
}

async function openNet(written: WrittenNet, batch: number, programs: readonly string[]) {
  const net = await openLocal(compile(written.text, { targets: [], programs, allowOneValue: true }), {
    device: interpreter(),
    batch,
    programs,
    allowOneValue: true,
  })
  const values = new Map<string, TensorData>(
    written.tensors.map(({ name, tensor }) => [name, { shape: tensor.shape, type: 'f32', data: tensor.values() }]),
  )
  await net.setParameters(values, { strict: false })
  return net
}

/** Normalizes with statistics of its batch: these are compared in training. */
const needsTraining = ({ layers }: GoldenCase): boolean =>
  layers.some(({ type, attrs }) => type === 'BatchNorm' && attrs['use_global_stats'] !== true)
/** Works on the batch as a whole, which Caffe's nets may and nets here may not. */
const overBatch = ({ layers }: GoldenCase): boolean =>
  layers.some(({ type, attrs }) => (type === 'Slice' || type === 'Concat') && attrs['axis'] === 0)

const distance = (got: ArrayLike<number> | undefined, want: ArrayLike<number>): number =>
  got?.length === want.length ? Math.max(...Array.from(want, (v, i) => (Math.abs(v - got[i]!) >= 0 ? Math.abs(v - got[i]!) : Infinity)))
    : Infinity

function inputsFor(written: WrittenNet, golden: GoldenCase, part = (data: Float32Array): Float32Array => data) {
  const given = inputsOf(golden)
  return Object.fromEntries(written.inputs.map(({ model, name }) => [name, part(given.get(model)!.data as Float32Array)]))
}

/** Cases that tell readers of one layer apart by its sizes: every second is enough to see that its fields are read. */
const isThinned = ({ name }: GoldenCase, i: number): boolean =>
  name.endsWith('_e5') || (/^(conv|deconv|pool|ip)_/.test(name) && i % 2 === 1)

describe('layers of Caffe', () => {
  const cases = all.filter((golden, i) =>
    golden.kind === 'net' && golden.name !== 'dropout' && !isThinned(golden, i) && !needsTraining(golden) && caffeFiles(golden)
  )
  test.each(cases.map((golden) => [golden.name, golden] as const))('%s', async (_name, golden) => {
    if (overBatch(golden)) {
      expect(() => importCase(golden)).toThrow('its axis is the batch')
      return
    }
    const written = importCase(golden)!
    const isLoss = golden.layers.some(({ type }) => type.includes('Loss'))
    const net = await openNet(written, [...inputsOf(golden).values()][0]!.shape[0]!, [isLoss ? 'gradients' : 'infer'])
    try {
      const inputs = inputsFor(written, golden)
      const { outputs, grads } = isLoss ? await net.step(inputs, { update: false }) : { outputs: await net.run(inputs), grads: {} }
      const near = (name: string): number => 1e-9 * Math.max(1, golden.tolerance[name]!.scale)
      for (const blob of finalBlobs(golden)) {
        const { name } = written.outputs.find(({ model }) => model === blob)!
        // A loss weight is a factor of what is learned, not of the loss that is shown.
        if (golden.tensors.has(`out.${blob}`))
          expect(distance(outputs[name], golden.tensors.get(`out.${blob}`)!.data), blob).toBeLessThanOrEqual(near(`out.${blob}`))
      }
      for (const [name, values] of Object.entries(grads)) {
        const want = golden.tensors.get(`din.${name}`)
        const factor = golden.tensors.get(`dout.${finalBlobs(golden)[0]}`)!.data[0]!
        if (want)
          expect(distance(Array.from(values, (v) => v * factor), want.data), `gradient of ${name}`).toBeLessThanOrEqual(near(`din.${name}`))
      }
    } finally {
      net.close()
    }
  })
})

describe('trainings of Caffe and of Dragon', () => {
  test.each(['train_a_convnet_merged_sgd', 'train_b_convnet_split_sgd'])('%s', async (name) => {
    const golden = readCase(folder, name)
    const written = importCase(golden)!
    const { train_batches: batches } = golden.meta as { train_batches: number }
    const count = inputsOf(golden).get('x')!.shape[0]!
    const net = await openNet(written, inputsOf(golden).get('x')!.shape[1]!, ['train'])
    try {
      const want = golden.tensors.get('out.losses')!.data
      const errors: number[] = []
      for (let t = 0; t < 20; t++) {
        const at = t % batches
        const { loss } = await net.trainStep(
          inputsFor(written, golden, (data) => data.slice((at * data.length) / count, ((at + 1) * data.length) / count)),
        )
        errors.push(Math.abs(await loss - want[t]!))
      }
      expect(Math.max(...errors)).toBeLessThanOrEqual(1e-9)
    } finally {
      net.close()
    }
  })
})
