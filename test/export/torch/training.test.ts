import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Bundle } from '../../../bundle/format.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import { exportTorch } from '../../../export/index.ts'
import { holdOut } from '../../../runtime/data/limit.ts'
import { loadData } from '../../../runtime/data/node-datasets.ts'
import { initialValues } from '../../../runtime/initializers.ts'
import { encodeNpy } from '../../../runtime/loading/npy.ts'
import { openLocal } from '../../../runtime/open.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../../runtime/snapshot.ts'
import { hasTorch, PYTHON } from './cases.ts'

/*
 * train.py trains as fusenet does: in float64, beside the interpreter. All that a snapshot holds is compared, so solvers' histories and
 * statistics, too. PyTorch runs once, for all cases: Debian's python3-torch; without it nothing here runs.
 */

/** Runs train.py of many folders: each a line of JSON, [folder, options]. */
const SCRIPT = `
import json, sys
for folder, options in map(json.loads, sys.stdin):
  for name in [name for name in sys.modules if name.split('.')[0] in ('net', 'train', 'exchange', 'weights', 'training')]:
    del sys.modules[name]
  sys.path[0] = folder
  import train
  code = train.main(options)
  if code != 0: sys.exit(f'{folder}: {code}')
`

const STEPS = 8
const place = mkdtempSync(join(tmpdir(), 'fusenet-torch-'))

interface Case {
  readonly text: string
  readonly data: string
  /** Options of both sides. */
  readonly validation?: number
  readonly best?: boolean
}

/** A small classifier with dropout: what trains it is the subject. */
const dense = (train: string, loss = 'softmax_loss(y, label)'): Case => ({
  text: `net dense {
    input x: f32[6]
    input label: class[3]
    y = x -> fc(7, lr_mult: [1, 2], decay_mult: [1, 0]) -> relu -> dropout(0.3) -> fc(3)
    output prob = softmax(y)
    loss = ${loss}
    metric accuracy = accuracy(y, label)
  }
  train { seed 3  ${train}  steps ${STEPS}  snapshot every ${STEPS} steps }`,
  data: join(place, 'data/table.csv'),
})

/** Convolutions, batch normalization and pictures that are changed by chance. */
const pictures = (norm: string, more = ''): Case => ({
  text: `net pictures {
    input image: f32[1, 6, 6]
    input label: class[4]
    y = image -> conv(3, 3, pad: 1, bias: false) -> ${norm} -> relu -> max_pool(2, stride: 2) -> fc(6) -> ${norm} -> dropout(0.4) -> fc(4)
    output prob = softmax(y)
    loss = softmax_loss(y, label)
    metric accuracy = accuracy(y, label)
  }
  train { batch 8  augment mirror, crop(6, pad: 1)  solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 5e-4)
    schedule step(gamma: 0.5, every: 1 epoch)  steps ${STEPS}  test every 1 epoch  snapshot every 4 steps ${more} }`,
  data: join(place, 'data/idx'),
})

/** A label for each pixel, which moves with the picture; around it stands what the loss ignores. */
const maps: Case = {
  text: `net maps {
    input image: f32[2, 6, 5]
    input label: class[3][6, 5]
    y = image -> conv(3, 3, pad: 1) -> dropout(0.2)
    output prob = softmax(y)
    loss = softmax_loss(y, label)
  }
  train { batch 6  accumulate 2  augment crop([6, 5], pad: 2), mirror  solver adam(lr: 0.02)  steps ${STEPS}  snapshot every 4 steps }`,
  data: `image=${join(place, 'data/maps.npy')},label=${join(place, 'data/labels.npy')}`,
}

const CASES: Readonly<Record<string, Case>> = {
  'sgd, step': dense('batch 10  solver sgd(lr: 0.1, momentum: 0.9, weight_decay: 1e-2)  schedule step(gamma: 0.5, every: 3)'),
  'nesterov, l1, multistep': dense(
    'batch 10  solver nesterov(lr: 0.1, weight_decay: 1e-2, regularize: l1)  schedule multistep(gamma: 0.1, at: [2, 1 epoch])',
  ),
  'adagrad, exp': dense('batch 10  solver adagrad(lr: 0.1)  schedule exp(gamma: 0.9)'),
  'rmsprop, inv': dense('batch 10  solver rmsprop(lr: 0.01, decay: 0.9)  schedule inv(gamma: 0.1, power: 0.75)'),
  'adadelta, poly': dense('batch 10  solver adadelta(momentum: 0.95)  schedule poly(power: 2)'),
  'adam, clipped, sigmoid': dense(
    'batch 10  solver adam(lr: 0.01, clip_gradients: 0.2, weight_decay: 1e-3)  schedule sigmoid(gamma: -0.5, step: 3)',
  ),
  'adamw, warmup, cosine': dense('batch 10  solver adamw(lr: 0.01)  schedule warmup(3) -> cosine'),
  'accumulate, ignored labels': dense('batch 5  accumulate 2  solver sgd(lr: 0.1, momentum: 0.9)', 'softmax_loss(y, label, ignore: 1)'),
  'accumulate, a sum': dense('batch 5  accumulate 2  solver sgd(lr: 0.01)', 'softmax_loss(y, label, normalization: none)'),
  'batch_norm in one layer': pictures('batch_norm'),
  'batch_norm and scale': pictures('batch_norm(affine: false, eps: 1e-5, stats: caffe(fraction: 0.9)) -> scale(bias: true)'),
  'cumulative statistics': pictures('batch_norm(stats: cumulative)'),
  'samples kept back, the best weights': { ...pictures('batch_norm'), validation: 0.2, best: true },
  'statistics of each batch, in tests, too': {
    ...pictures('batch_norm(stats: batch)'),
    text: pictures('batch_norm(stats: batch)').text.replace('batch 8', 'batch 10'),
  },
  'a bias that batch_norm takes away': {
    ...pictures('batch_norm'),
    text: pictures('batch_norm').text.replace('bias: false', 'bias: true'),
  },
  'label maps': maps,
  'arrays': { ...dense('batch 10  solver sgd(lr: 0.1)'), data: `x=${join(place, 'data/x.npy')},label=${join(place, 'data/label.npy')}` },
}

const { floor, imul, sin } = Math
const hash = (i: number): number => (imul(i + 1, 0x9e3779b1) >>> 0) / 2 ** 32

/** Files of samples: a table with names of classes, arrays, IDX. */
function writeData(): void {
  mkdirSync(join(place, 'data/idx'), { recursive: true })
  const rows = Array.from({ length: 50 }, (_, k) => Array.from({ length: 6 }, (_, j) => sin(k * 1.7 + j * j) + (k % 3) * 0.3))
  const labels = rows.map((_, k) => floor(hash(k) * 3))
  writeFileSync(
    join(place, 'data/table.csv'),
    [['a', 'b', 'c', 'd', 'e', 'f', 'label'], ...rows.map((row, k) => [...row, ['cat', 'dog', '"a, b"'][labels[k]!]])].map((row) =>
      row.join(',')
    ).join('\n'),
  )
  writeFileSync(join(place, 'data/x.npy'), encodeNpy({ shape: [50, 6], type: 'f32', data: Float32Array.from(rows.flat()) }))
  writeFileSync(
    join(place, 'data/maps.npy'),
    encodeNpy({ shape: [30, 2, 6, 5], type: 'f32', data: Float32Array.from({ length: 1800 }, (_, i) => hash(i)) }),
  )
  writeFileSync(
    join(place, 'data/labels.npy'),
    encodeNpy({
      shape: [30, 6, 5],
      type: 'i32',
      data: Int32Array.from({ length: 900 }, (_, i) => floor(hash(3 * i) * 3.2) % 4 === 3 ? -1 : floor(hash(3 * i) * 3.2)),
    }),
  )
  writeFileSync(join(place, 'data/label.npy'), encodeNpy({ shape: [50], type: 'i32', data: Int32Array.from(labels) }))
  for (const [part, count] of [['train', 43], ['t10k', 11]] as const) {
    const header = (magic: number, ...dims: number[]): Buffer => {
      const bytes = Buffer.alloc(4 + 4 * dims.length)
      ;[magic, ...dims].forEach((value, i) => bytes.writeUInt32BE(value, 4 * i))
      return bytes
    }
    const pixels = Buffer.from(Array.from({ length: count * 36 }, (_, i) => floor(hash(i + count) * 256)))
    writeFileSync(join(place, `data/idx/${part}-images-idx3-ubyte`), Buffer.concat([header(0x803, count, 6, 6), pixels]))
    writeFileSync(
      join(place, `data/idx/${part}-labels-idx1-ubyte`),
      Buffer.concat([header(0x801, count), Buffer.from(Array.from({ length: count }, (_, i) => floor(hash(7 * i) * 4)))]),
    )
  }
}

const bundles = new Map<string, Bundle>()
function compiled(text: string): Bundle {
  const bundle = bundles.get(text) ?? compile(text, { targets: [], programs: ['train', 'eval'] })
  bundles.set(text, bundle)
  return bundle
}

/** What fusenet's interpreter makes of a case: the snapshot after each update that is asked for. `from`: a snapshot that it goes on from. */
async function trained(
  { text, data, validation, best }: Case,
  at: readonly number[],
  from?: Snapshot,
): Promise<{ snapshots: Map<number, Snapshot>; test: number }> {
  const bundle = compiled(text)
  const net = await openLocal(bundle, {
    device: interpreter(),
    programs: ['train', 'accumulate', 'eval'].filter((name) => name !== 'accumulate' || bundle.manifest.train!.accumulate > 1),
  })
  try {
    const files = await loadData(data, { inputs: bundle.manifest.inputs })
    const { rest, held } = validation === undefined ? { rest: files.train, held: undefined } : await holdOut(files.train, validation, 1)
    if (from) await net.restore(from)
    const snapshots = new Map<number, Snapshot>()
    let chosen = { accuracy: -1, step: 0 }
    for await (const event of net.train(rest, { steps: Math.max(...at), total: true })) {
      // Asked for while nothing is under way.
      if (event.snapshotDue && at.includes(event.step)) snapshots.set(event.step, await net.snapshot())
      if (best && event.testDue) {
        const { accuracy } = (await net.evaluate(held!)).metrics as { accuracy: number }
        if (accuracy > chosen.accuracy) chosen = { accuracy, step: event.step }
      }
    }
    return { snapshots, test: best ? chosen.step : (await net.evaluate(files.test)).loss! }
  } finally {
    net.close()
  }
}

const folderOf = (name: string): string => join(place, name.replaceAll(/\W+/g, '-'))

/** Writes the folder of a case, as the command does. */
function exported(name: string, { text }: Case): void {
  const bundle = compiled(text)
  const weights = new Map(
    bundle.manifest.parameters.map((p) => [p.name, { shape: p.shape, type: 'f32' as const, data: initialValues(p, 1) }]),
  )
  for (const [file, content] of exportTorch({ manifest: bundle.manifest, weights }, { trained: false }).texts) {
    const path = join(folderOf(name), file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
}

const snapshotOf = (name: string, step = STEPS): Snapshot => {
  const runs = join(folderOf(name), 'runs')
  const path = join(runs, readdirSync(runs)[0]!, `step-0000000${step}.safetensors`)
  return decodeSnapshot(readFileSync(path), path)
}

function expectSame(got: Snapshot, want: Snapshot): void {
  expect([...got.tensors.keys()].sort()).toEqual([...want.tensors.keys()].sort())
  for (const [name, { data }] of want.tensors) {
    const found = got.tensors.get(name)!
    const scale = Math.max(1e-3, ...Array.from(data as ArrayLike<number>, Math.abs))
    const error = Math.max(
      ...Array.from(data as ArrayLike<number>, (value, i) => Math.abs(value - (found.data as ArrayLike<number>)[i]! as number)),
    )
    expect(error / scale, name).toBeLessThan(1e-9)
  }
  expect({ step: got.step, seed: got.seed, identity: got.identity }).toEqual({ step: want.step, seed: want.seed, identity: want.identity })
}

describe.skipIf(!hasTorch())('train.py (python3-torch)', () => {
  const results = new Map<string, Awaited<ReturnType<typeof trained>>>()
  const half = 'batch_norm in one layer'
  let said: readonly any[] = []

  beforeAll(async () => {
    writeData()
    for (const [name, one] of Object.entries(CASES)) {
      exported(name, one)
      results.set(name, await trained(one, [STEPS, STEPS / 2]))
    }
    const options = ({ data, validation, best }: Case): string[] => [
      ...['--data', data, '--float64', '--device', 'cpu', '--json', '--keep', 'all'],
      ...(validation === undefined ? [] : ['--validation', String(validation)]),
      ...(best ? ['--best', 'accuracy'] : []),
    ]
    const lines = Object.entries(CASES).map((
      [name, one],
    ) => [folderOf(name), [
      ...options(one),
      '--save',
      join(folderOf(name), 'w.safetensors'),
      '--snapshot-dir',
      join(folderOf(name), 'runs'),
    ]])
    // What fusenet left in the middle of its training goes on here.
    const middle = join(place, 'middle.safetensors')
    writeFileSync(middle, encodeSnapshot(results.get(half)!.snapshots.get(STEPS / 2)!))
    exported('goes on', CASES[half]!)
    lines.push([folderOf('goes on'), [
      ...options(CASES[half]!),
      '--resume',
      middle,
      '--save',
      join(folderOf('goes on'), 'w.safetensors'),
      '--snapshot-dir',
      join(folderOf('goes on'), 'runs'),
    ]])
    const out = execFileSync(PYTHON, ['-c', SCRIPT], {
      encoding: 'utf8',
      input: lines.map((line) => JSON.stringify(line)).join('\n'),
      cwd: place,
    })
    said = out.trim().split('\n').map((line) => JSON.parse(line))
  }, 300_000)

  test.each(Object.keys(CASES))('%s', (name) => {
    const want = results.get(name)!
    expectSame(snapshotOf(name), want.snapshots.get(STEPS)!)
    const done = said.filter(({ event }) => event === 'done')[Object.keys(CASES).indexOf(name)]
    if (CASES[name]!.best) expect(done.runs[0].best.step).toBe(want.test)
    else expect(done.runs[0].test.loss).toBeCloseTo(want.test, 9)
  })

  test('a bias that batch_norm takes away stays to the bit: sums of rounding errors are no gradient', () => {
    const { tensors } = snapshotOf('a bias that batch_norm takes away')
    for (const name of ['conv_1.bias', 'fc_1.bias'])
      expect(new Set(tensors.get(name)!.data as ArrayLike<number> & Iterable<number>)).toEqual(new Set([0]))
    expect(new Set(tensors.get('fc_2.bias')!.data as ArrayLike<number> & Iterable<number>).size).toBeGreaterThan(1)
  })

  test('goes on with what fusenet left', () => {
    expectSame(snapshotOf('goes on'), results.get(half)!.snapshots.get(STEPS)!)
  })

  test('fusenet goes on with what it left', async () => {
    const { snapshots } = await trained(CASES[half]!, [STEPS], snapshotOf(half, STEPS / 2))
    expectSame(snapshots.get(STEPS)!, results.get(half)!.snapshots.get(STEPS)!)
  })
})
