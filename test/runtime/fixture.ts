import { createHash } from 'node:crypto'
import { type Bundle, type BufferEntry, type DispatchEntry, FORMAT_VERSION, type Initializer, type KernelEntry, type Manifest,
  type ProgramEntry, type Size, type TensorEntry } from '../../bundle/format.ts'

/**
 * A bundle written by hand, small enough to compute beside: y = x * 2w (w2 = 2w is made by `prepare`),
 * loss = mean of (y[label] - 1)^2 / 2, hit = share of y[label] > 0.5, SGD with momentum 0.9, and `seen`, a statistic that
 * counts training batches.
 *   dw[c] = sum over n of [label = c] (y - 1) 2x / N;  dx[n,c] = [label = c] (y - 1) 2w / N
 */
export interface FixtureOptions {
  readonly accumulate?: number
  readonly initializer?: Initializer
  readonly train?: Partial<NonNullable<Manifest['train']>>
}

const CLASSES = 3
const fixed = (count: number): Size => ({ fixed: count, perSample: 0 })
const perSample = (count: number): Size => ({ fixed: 0, perSample: count })
const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

const BUFFERS: BufferEntry[] = [
  { name: 'input.x', role: 'input', elements: perSample(CLASSES) },
  { name: 'input.label', role: 'input', elements: perSample(1) },
  { name: 'parameters', role: 'parameters', elements: fixed(64) },
  { name: 'gradients', role: 'gradients', elements: fixed(64) },
  { name: 'history.h', role: 'history', elements: fixed(64) },
  { name: 'states', role: 'states', elements: fixed(64) },
  { name: 'prepared.w2', role: 'prepared', elements: fixed(CLASSES) },
  { name: 'scratch0', role: 'scratch', elements: fixed(0) },
  { name: 'scratch1', role: 'scratch', elements: fixed(0) },
  { name: 'constants.two', role: 'constants', elements: fixed(1), data: [{ times: 1, values: [2] }] },
]

const TENSORS = {
  x: { name: 'x', shape: ['n', CLASSES], type: 'f32', buffer: 0, offset: 0 },
  label: { name: 'label', shape: ['n'], type: 'i32', buffer: 1, offset: 0 },
  w: { name: 'w', shape: [CLASSES], type: 'f32', buffer: 2, offset: 0 },
  dw: { name: 'w.gradient', shape: [CLASSES], type: 'f32', buffer: 3, offset: 0 },
  h: { name: 'history', shape: [64], type: 'f32', buffer: 4, offset: 0 },
  seen: { name: 'seen', shape: [1], type: 'f32', buffer: 5, offset: 0 },
  w2: { name: 'w2', shape: [CLASSES], type: 'f32', buffer: 6, offset: 0 },
  y: { name: 'y', shape: ['n', CLASSES], type: 'f32', buffer: 7, offset: 0 },
  loss: { name: 'loss', shape: [], type: 'f32', buffer: 8, offset: 0 },
  hit: { name: 'hit', shape: [], type: 'f32', buffer: 8, offset: 0, behind: [8] },
  dx: { name: 'x.gradient', shape: ['n', CLASSES], type: 'f32', buffer: 8, offset: 0, behind: [9] },
  two: { name: 'two', shape: [1], type: 'f32', buffer: 9, offset: 0 },
} satisfies Record<string, TensorEntry>
export type TensorName = keyof typeof TENSORS
const TENSOR_NAMES = Object.keys(TENSORS) as TensorName[]

interface Written {
  /** `name` reads, `name!` writes too. */
  readonly bind: readonly string[]
  readonly each: string
  readonly invocations: Size
}

const kernels = (accumulate: number): Record<string, Written> => ({
  double: { bind: ['w', 'two', 'w2!'], invocations: fixed(CLASSES), each: 'w2[i] = two[0] * w[i];' },
  scale: { bind: ['x', 'w2', 'y!'], invocations: perSample(CLASSES), each: 'y[i] = x[i] * w2[i % 3u];' },
  loss: {
    bind: ['y', 'label', 'loss!', 'hit!'],
    invocations: fixed(1),
    each: `var sum = 0.0; var hits = 0.0;
  for (var k = 0u; k < step.n; k++) {
    if (label[k] < 0) { continue; }
    let d = y[k * 3u + u32(label[k])] - 1.0;
    sum += d * d / 2.0;
    hits += select(0.0, 1.0, d > -0.5);
  }
  loss[0] = sum / f32(step.n); hit[0] = hits / f32(step.n);`,
  },
  scale_train: { bind: ['x', 'w', 'y!'], invocations: perSample(CLASSES), each: 'y[i] = x[i] * 2.0 * w[i % 3u];' },
  dw: {
    bind: ['x', 'y', 'label', 'dw!'],
    invocations: fixed(CLASSES),
    each: `var sum = 0.0;
  for (var k = 0u; k < step.n; k++) { if (label[k] == i32(i)) { sum += (y[k * 3u + i] - 1.0) * 2.0 * x[k * 3u + i]; } }
  dw[i] = sum / f32(step.n);`,
  },
  dw_add: {
    bind: ['x', 'y', 'label', 'dw!'],
    invocations: fixed(CLASSES),
    each: `var sum = 0.0;
  for (var k = 0u; k < step.n; k++) { if (label[k] == i32(i)) { sum += (y[k * 3u + i] - 1.0) * 2.0 * x[k * 3u + i]; } }
  dw[i] += sum / f32(step.n);`,
  },
  dx: {
    bind: ['y', 'label', 'w', 'dx!'],
    invocations: perSample(CLASSES),
    each: 'dx[i] = select(0.0, (y[i] - 1.0) * 2.0 * w[i % 3u] / f32(step.n), label[i / 3u] == i32(i % 3u));',
  },
  sgd: { bind: ['dw', 'w!', 'h!'], invocations: fixed(CLASSES), each: 'h[i] = 0.9 * h[i] + step.rate * dw[i]; w[i] -= h[i];' },
  sgd_all: {
    bind: ['dw!', 'w!', 'h!'],
    invocations: fixed(CLASSES),
    each: `h[i] = 0.9 * h[i] + step.rate * dw[i] / ${accumulate}.0; w[i] -= h[i]; dw[i] = 0.0;`,
  },
  count: { bind: ['seen!'], invocations: fixed(1), each: 'seen[0] += 1.0;' },
})

const WORKGROUP = 64
const nothing: Size = fixed(0)

export function fixture(options: FixtureOptions = {}): Bundle {
  const written = kernels(options.accumulate ?? 1)
  const names = Object.keys(written)
  const files = new Map<string, string>()
  const entries = names.map((name): KernelEntry => {
    const { bind, each, invocations } = written[name]!
    const bindings = bind.map((b) => {
      const tensor = b.replace('!', '') as TensorName
      return { name: tensor, access: b.endsWith('!') ? 'read_write' as const : 'read' as const, type: TENSORS[tensor].type }
    })
    const text = `struct Step { n: u32, step: u32, seed: u32, rate: f32, correction1: f32, correction2: f32 }
@group(0) @binding(0) var<uniform> step: Step;
${bindings.map((b, i) => `@group(0) @binding(${i + 1}) var<storage, ${b.access}> ${b.name}: array<${b.type}>;`).join('\n')}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.y * ${32768 * WORKGROUP}u + id.x;
  if (i >= ${invocations.fixed}u + ${invocations.perSample}u * step.n) { return; }
  ${each}
}
`
    const file = `webgpu/${['double', 'scale', 'loss'].includes(name) ? 'infer' : 'train'}.wgsl`
    files.set(file, `${files.get(file) ?? ''}//// ${name}\n${text}`)
    return { name, file, section: name, bindings, workgroup: WORKGROUP }
  })
  const dispatch = (name: string): DispatchEntry => ({
    kernel: names.indexOf(name),
    name,
    invocations: written[name]!.invocations,
    tensors: written[name]!.bind.map((b) => TENSOR_NAMES.indexOf(b.replace('!', '') as TensorName)),
    facts: { layers: [name], flops: nothing, products: nothing, bytesRead: nothing, bytesWritten: nothing, why: [] },
  })
  const program = (kernelNames: string[], results: Record<string, TensorName>, needsPrepare = false): ProgramEntry => ({
    dispatches: kernelNames.map(dispatch),
    needsPrepare,
    peakBytes: nothing,
    lowerBoundBytes: nothing,
    results: Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, TENSOR_NAMES.indexOf(tensor)])),
  })
  const scores = { y: 'y', loss: 'loss', hit: 'hit' } as const
  const grads = { 'grad/w': 'dw', 'grad/x': 'dx' } as const
  return {
    files,
    manifest: {
      format: 'fusenet-bundle',
      version: FORMAT_VERSION,
      name: 'line',
      style: 'merged',
      source: { files: [{ name: 'line.net', text: 'net line {}' }], sha256: sha('net line {}') },
      inputs: [{ name: 'x', type: 'f32', shape: ['n', CLASSES] }, { name: 'label', type: 'i32', shape: ['n'], classes: CLASSES }],
      outputs: [{ name: 'y', role: 'output', shape: ['n', CLASSES] }, { name: 'loss', role: 'loss', shape: [] }, {
        name: 'hit',
        role: 'metric',
        shape: [],
      }],
      parameters: [
        {
          name: 'w',
          shape: [CLASSES],
          offset: 0,
          trainable: true,
          layer: 'w',
          initializer: options.initializer ?? { kind: 'constant', value: 0.25 },
        },
        { name: 'seen', shape: [1], offset: 0, trainable: false, layer: 'seen', initializer: { kind: 'constant', value: 0 } },
      ],
      train: {
        augment: [],
        solver: { call: 'sgd', args: { lr: 0.1, momentum: 0.9 } },
        schedule: [{ call: 'fixed', args: {} }],
        batch: 4,
        seed: 7,
        accumulate: options.accumulate ?? 1,
        ...options.train,
      },
      plans: {
        webgpu: {
          target: 'webgpu',
          buffers: BUFFERS,
          tensors: TENSOR_NAMES.map((name) => TENSORS[name]),
          kernels: entries,
          programs: {
            prepare: program(['double'], {}),
            infer: program(['scale'], { y: 'y' }, true),
            eval: program(['scale', 'loss'], scores, true),
            gradients: program(['scale_train', 'loss', 'dw', 'dx'], { ...scores, ...grads }),
            step: program(['scale_train', 'loss', 'dw', 'dx', 'sgd', 'count'], { ...scores, ...grads }),
            train: program(['scale_train', 'loss', 'dw_add', 'sgd_all', 'count'], { loss: 'loss', hit: 'hit' }),
            accumulate: program(['scale_train', 'loss', 'dw_add', 'count'], { loss: 'loss', hit: 'hit' }),
          },
        },
      },
    },
  }
}
