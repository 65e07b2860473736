import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bundle, Style, TensorData } from '../../../bundle/format.ts'
import { elementCount } from '../../../bundle/sizes.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import { exportTorch } from '../../../export/index.ts'
import { open, writeSafetensors } from '../../../runtime/index.ts'
import { labels, normals } from '../../support/random-net.ts'
import { trained } from '../onnx-runtime.ts'

/** Debian's; PYTHON=.../bin/python names another, of a current PyTorch. */
export const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3'

/** Whether PyTorch is installed here (Debian: python3-torch); these tests pass without it. */
export const hasTorch = (): boolean => {
  try {
    execFileSync(PYTHON, ['-c', 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A net to compare: its text, and what it is fed; random numbers where nothing is said. */
export interface TorchCase {
  readonly name: string
  readonly text: string
  readonly batch?: number
  readonly style?: Style
  readonly freeze?: readonly string[]
  readonly weights?: ReadonlyMap<string, TensorData>
  readonly inputs?: Readonly<Record<string, Float32Array | Int32Array>>
}

/** The largest difference of anything, over the scale of its tensor (at least 1e-3), in float64 and in float32. */
export interface Compared {
  readonly name: string
  readonly worst: number
  readonly what: string
  readonly float32: number
  /** What PyTorch says where it does not run. */
  readonly error?: string
}

const SEED = 7

/** Random numbers for every input. */
export function fed(bundle: Bundle, batch: number): Record<string, Float32Array | Int32Array> {
  return Object.fromEntries(bundle.manifest.inputs.map(({ name, shape, type, classes }, i) => {
    const count = elementCount(shape, batch)
    return [name, type === 'i32' ? labels(count, classes ?? 2, 200 + i) : normals(count, 100 + i)]
  }))
}

/** Exports the net and computes in float64 what its module should: a folder for the runner. */
export async function prepare(folder: string, { name, text, batch = 5, style, freeze, ...given }: TorchCase): Promise<void> {
  const compiled = compile(text, { targets: [], ...(style && { style }), ...(freeze && { freeze }), allowOneValue: true })
  const weights = given.weights ?? trained(compiled)
  const bundle = { ...compiled, weights: weights as Map<string, TensorData> }
  const inputs = given.inputs ?? fed(bundle, batch)
  mkdirSync(folder, { recursive: true })
  const { texts, weights: file, settings } = exportTorch(bundle, { ...(style && { style }) })
  for (const path of ['net.py', 'weights.py', 'exchange.py', 'settings.json']) writeFileSync(join(folder, path), texts.get(path)!)
  writeFileSync(join(folder, 'weights.safetensors'), Buffer.concat([...file.parts()]))
  const shapes = new Map(bundle.manifest.inputs.map((input) => [input.name, input.shape.map((dim) => (dim === 'n' ? batch : dim))]))
  const wanted = new Map<string, TensorData>()
  const add = (kind: string, values: Readonly<Record<string, unknown>>): void => {
    for (const [key, data] of Object.entries(values)) {
      const numbers = Float64Array.from(typeof data === 'number' ? [data] : data as ArrayLike<number>)
      wanted.set(`${kind}/${key}`, { shape: [numbers.length], type: 'f64', data: numbers })
    }
  }
  for (const [key, data] of Object.entries(inputs))
    wanted.set(`in/${key}`, { shape: shapes.get(key)!, type: data instanceof Int32Array ? 'i32' : 'f32', data })
  const device = interpreter()
  const learns = settings.outputs.some(({ role }) => role === 'loss')
  const has = (role: string): boolean => settings.outputs.some((output) => output.role === role)
  if (has('output')) {
    const net = await open(bundle, { device, batch, seed: SEED, programs: ['infer'], allowOneValue: true })
    add('test', await net.run(inputs as never) as never)
    net.close()
  }
  if (learns) {
    const net = await open(bundle, { device, batch, seed: SEED, programs: ['gradients', 'train'], allowOneValue: true })
    const { outputs, grads } = await net.step(inputs as never, { update: false })
    add('train', outputs as never)
    add('grad', grads as never)
    await net.trainStep(inputs as never, { rate: 0 })
    const kept = [...await net.parameters()].filter(([key]) => /\.(running_mean|running_var|count|scale_factor)$/.test(key))
    add('kept', Object.fromEntries(kept.map(([key, { data }]) => [key, data])))
    net.close()
  }
  writeFileSync(join(folder, 'case.safetensors'), writeSafetensors(wanted))
  writeFileSync(join(folder, 'case.json'), JSON.stringify({ name, seed: SEED }))
}

/** Runs all cases in one process of Python, since importing torch takes seconds. */
export async function compareAll(cases: readonly TorchCase[]): Promise<Compared[]> {
  const root = mkdtempSync(join(tmpdir(), 'fusenet-torch-'))
  const folders: string[] = []
  const failed: Compared[] = []
  for (const [i, one] of cases.entries()) {
    const folder = join(root, String(i))
    try {
      await prepare(folder, one)
      folders.push(folder)
    } catch (error) {
      failed.push({ name: one.name, worst: Infinity, what: '', float32: Infinity, error: String(error) })
    }
  }
  execFileSync(PYTHON, [join(import.meta.dirname, 'compare.py'), root, ...folders], { stdio: ['ignore', 'inherit', 'inherit'] })
  return [...failed, ...JSON.parse(readFileSync(join(root, 'compared.json'), 'utf8')) as Compared[]]
}
