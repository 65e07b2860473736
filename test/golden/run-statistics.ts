import { type Net, open, type TensorData } from '../../runtime/index.ts'
import { asParameter, type Comparison, compareTensor, openText, type Run } from './comparison.ts'
import type { GoldenCase } from './golden-file.ts'
import type { Spelling } from './respell.ts'

/** A layer that keeps statistics over samples of this shape. */
export function statisticsText(golden: GoldenCase, sample: readonly number[], spelling: Spelling): string {
  const { policy, options, eps } = golden.meta as { policy: string; options: Record<string, number>; eps: number }
  const affine = spelling === 'as given' ? 'affine: false' : 'gamma: 1, beta: 0'
  return `net statistics { input x: f32[${sample.join(', ')}] y = batch_norm(x, eps: ${eps}, ${affine}, stats: ${
    statsText({ policy, options })
  }) as bn output y = y loss = sum(y) } train { solver sgd(lr: 0) }`
}

/** The statistics that a layer keeps, over batches that need not be of one size, and what normalizing with them gives. */
export async function runStatistics(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const { policy } = golden.meta as { policy: string }
  const tensor = (name: string) => golden.tensors.get(name)!
  const openAt = ([batch, ...sample]: readonly number[]): Promise<Net> =>
    openText(statisticsText(golden, sample, run.spelling), run, batch!, ['train', 'infer'])
  const compared: Comparison[] = []
  const countName = policy === 'caffe' ? 'bn.scale_factor' : 'bn.count'
  let kept = new Map<string, TensorData>([
    ['bn.running_mean', asParameter(tensor('in.initial_mean'))],
    ['bn.running_var', asParameter(tensor('in.initial_var'))],
  ])
  if (policy !== 'ema') kept.set(countName, asParameter(tensor('in.initial_count'), [1]))
  const rows: Record<string, number[]> = { stored_mean: [], stored_var: [], count: [], mean: [], var: [] }
  let shape: readonly number[] = []
  let net: Net | undefined
  try {
    for (let i = 0; golden.tensors.has(`in.x${i}`); i++) {
      const x = tensor(`in.x${i}`)
      if (!net || x.shape.join() !== shape.join()) {
        net?.close()
        net = await openAt(shape = x.shape)
        await net.setParameters(kept, { strict: false })
      }
      await net.trainStep({ x: x.data as Float32Array }, { rate: 0 })
      kept = new Map(await net.parameters())
      const mean = kept.get('bn.running_mean')!.data as Float64Array
      const variance = kept.get('bn.running_var')!.data as Float64Array
      const count = Number(kept.get(countName)?.data[0] ?? NaN)
      const scale = policy === 'caffe' ? (count === 0 ? 0 : 1 / count) : 1
      rows['stored_mean']!.push(...mean)
      rows['stored_var']!.push(...variance)
      rows['count']!.push(count)
      rows['mean']!.push(...[...mean].map((v) => v * scale))
      rows['var']!.push(...[...variance].map((v) => v * scale))
    }
    for (const [name, got] of Object.entries(rows)) {
      if (name === 'count' && policy === 'ema') continue // a moving average needs no count
      const want = golden.tensors.get(`out.${name}`)
      if (want) compared.push(compareTensor(golden, `out.${name}`, got, want.data, run.float64))
    }
    const test = tensor('in.x_test')
    if (test.shape.slice(1).join() !== shape.slice(1).join()) {
      net?.close()
      net = await openAt(test.shape)
      await net.setParameters(kept, { strict: false })
    }
    const trained = await net!.save()
    const tested = await open(run.float64 ? { ...trained, weights: await net!.parameters() } : trained, {
      device: run.device,
      batch: test.shape[0]!,
      programs: ['infer'],
      allowOneValue: true,
    })
    const { y } = await tested.run({ x: test.data as Float32Array })
    compared.push(compareTensor(golden, 'out.y', y, tensor('out.y').data, run.float64))
    tested.close()
    return compared
  } finally {
    net?.close()
  }
}

/** A policy of statistics as the language writes it. Options may stand beside its name or below `options`. */
export function statsText(stats: string | Record<string, any>): string {
  const { policy, options = {}, ...beside } = typeof stats === 'string' ? { policy: stats } as Record<string, any> : stats
  const option = (name: string, otherwise: number): number => options[name] ?? beside[name] ?? otherwise
  switch (policy) {
    case 'cumulative':
      return 'cumulative'
    case 'caffe':
      return `caffe(fraction: ${option('moving_average_fraction', 0.999)})`
    case 'ema':
      return `moving(newest: ${option('decay', 0.95)})`
    default:
      throw new Error(`what is the policy ${policy} in the language?`)
  }
}
