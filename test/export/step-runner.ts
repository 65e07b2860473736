import { compile, interpreter } from '../../compiler/index.ts'
import { layerKey } from '../../compiler/ops/dropout.ts'
import { randomUniform } from '../../compiler/targets/interpreter/random.ts'
import { type ExportedOnnxStep, exportOnnxStep, type OnnxStepOptions } from '../../export/index.ts'
import { open } from '../../runtime/index.ts'
import { labels, normals } from '../support/random-net.ts'
import { bytesOf, onnxRuntime, trained } from './onnx-runtime.ts'

/** Numbers, or whole numbers, of a shape. */
interface Fed {
  readonly dims: readonly number[]
  readonly data: Float32Array | Int32Array
}

export interface Stepped {
  /** The largest difference of losses, metrics and parameters, each over the largest value of its own (1e-3 at least). */
  readonly worst: number
  readonly where: string
  readonly exported: ExportedOnnxStep
}

export interface Comparison extends OnnxStepOptions {
  readonly steps?: number
  readonly batch?: number
  readonly seed?: number
  /** What data are made of, a normal each. */
  readonly made?: (normal: number) => number
}

const SEED = 7
const RATE = 0.02

/** A few steps of a model of a step in onnxruntime beside training in the float64 interpreter, with random weights and data. */
export async function compareSteps(
  text: string,
  { steps = 3, batch = 4, seed = 1, made = (normal) => normal, ...options }: Comparison = {},
  runtime = onnxRuntime()!,
): Promise<Stepped> {
  const bundle = compile(text, {
    targets: [],
    programs: ['train', 'accumulate'].slice(0, /accumulate +[2-9]/.test(text) ? 2 : 1) as never,
    ...(options.style && { style: options.style }),
  })
  const weights = trained(bundle, seed)
  const exported = exportOnnxStep({ ...bundle, weights }, options)
  const create = (model: Uint8Array) => runtime.InferenceSession.create(model, { logSeverityLevel: 3 })
  const session = await create(bytesOf(exported))
  const start = await create(bytesOf(exported.start))
  const net = await open(bundle, { device: interpreter(), batch, seed: SEED, weights: weights as never })
  const parts = bundle.manifest.train?.accumulate ?? 1
  let [worst, where] = [0, '']
  const compare = (name: string, got: ArrayLike<number> | undefined, want: ArrayLike<number>): void => {
    if (got?.length !== want.length) throw new Error(`${name} has ${got?.length} values, not ${want.length}`)
    let scale = 1e-3
    for (let i = 0; i < want.length; i++) scale = Math.max(scale, Math.abs(want[i]!))
    for (let i = 0; i < want.length; i++) {
      const apart = Number.isNaN(got[i]!) && Number.isNaN(want[i]!) ? 0 : Math.abs(got[i]! - want[i]!) / scale
      if (!(apart <= worst)) [worst, where] = [apart, name]
    }
  }
  try {
    const state: Record<string, object> = { ...await start.run({}) }
    for (let t = 0; t < steps; t++) {
      const batches = Array.from({ length: parts }, (_, part) =>
        new Map(bundle.manifest.inputs.map((input, i): [string, Fed] => {
          const dims = input.shape.map((dim) => (dim === 'n' ? batch : dim))
          const count = dims.reduce((a, b) => a * b, 1)
          const own = 1000 * seed + 100 * t + 10 * part + i
          return [input.name, {
            dims,
            data: input.classes === undefined ? Float32Array.from(normals(count, own), made)
              : Int32Array.from(labels(count, input.classes, own)),
          }]
        })))
      let losses: Record<string, { data: ArrayLike<number> }> = {}
      for (const [part, inputs] of batches.entries()) {
        const feeds: Record<string, object> = { ...state }
        for (const { name, type, shape } of exported.graph.inputs) {
          const given = inputs.get(name)
          if (given) feeds[name] = new runtime.Tensor(type === 'i32' ? 'int32' : 'float32', given.data, given.dims)
          else if (name.startsWith('random/')) {
            const dims = shape.map((dim) => (typeof dim === 'number' ? dim : batch))
            const key = layerKey(name.slice('random/'.length))
            const own = (SEED + part * 0x9e3779b1) >>> 0
            const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, at) => randomUniform(own, t, key, at))
            feeds[name] = new runtime.Tensor('float32', data, dims)
          }
        }
        for (const { name, input, ignore } of exported.feeds.divisors) {
          const kept = batches.flatMap((each) => [...each.get(input)!.data]).filter((label) => label !== ignore).length
          feeds[name] = new runtime.Tensor('float32', Float32Array.of(Math.max(1, kept) / parts), [])
        }
        feeds[exported.feeds.rate] = new runtime.Tensor('float32', Float32Array.of(RATE), [])
        losses = await session.run(feeds) as never
        for (const name of exported.state) state[name] = losses[`next/${name}`]!
      }
      const { loss } = await net.trainStep(
        batches.map((inputs) => Object.fromEntries([...inputs].map(([name, { data }]) => [name, data]))) as never,
        { rate: RATE },
      )
      const weightsOf = bundle.manifest.outputs.filter(({ role }) => role === 'loss')
      if (parts === 1)
        compare(`loss of step ${t}`, [weightsOf.reduce((sum, { name, weight = 1 }) => sum + weight * losses[name]!.data[0]!, 0)], [
          await loss,
        ])
      await loss
    }
    for (const [name, { data }] of await net.parameters())
      compare(name, (state[name] as { data: Float32Array } | undefined)?.data, data as ArrayLike<number>)
    return { worst, where, exported }
  } finally {
    net.close()
    await session.release()
    await start.release()
  }
}
