import { compile } from '../../compiler/index.ts'
import { open, type Device, type Net, type TensorData } from '../../runtime/index.ts'
import { type GoldenCase, type GoldenTensor, tensorsBelow } from './golden-file.ts'
import { netText, type NetText, type Spelling } from './net-text.ts'
import { scheduleText, solverText } from './train-text.ts'

export interface Run {
  readonly device: Device
  /** Plans that nets are compiled to. */
  readonly targets: readonly string[]
  /** Float64 devices are held to 1e-9 of scale, float32 ones to the case's own tolerance. */
  readonly float64: boolean
  readonly style: 'merged' | 'split'
  readonly spelling: Spelling
  readonly everyBlob: boolean
}

/** One comparison: what was expected, what came, and by how much it may differ. */
export interface Comparison {
  readonly tensor: string
  readonly error: number
  readonly allowed: number
}

/** Runs a case and compares every tensor that it expects. */
export async function runCase(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  switch (golden.kind) {
    case 'net': return runNet(golden, run)
    case 'bn_stats': return runStatistics(golden, run)
    case 'solver': return runSolver(golden, run)
    case 'train': return runTraining(golden, run)
    default: throw new Error(`${golden.name}: ${golden.kind} is not run on a device`)
  }
}

type Numbers = ArrayLike<number>

export function compareTensor(golden: GoldenCase, name: string, got: Numbers | undefined, want: Numbers, float64: boolean): Comparison {
  const tolerance = golden.tolerance[name]!
  // Written so that a NaN, or a tensor that is missing, fails.
  let error = got && got.length === want.length ? 0 : Infinity
  for (let i = 0; got && i < want.length && error < Infinity; i++) {
    const difference = Math.abs(got[i]! - want[i]!)
    error = difference >= 0 ? Math.max(error, difference) : Infinity
  }
  const allowed = float64 ? 1e-9 * Math.max(1, tolerance.scale) : (tolerance.atol_careful ?? tolerance.atol)
  return { tensor: name, error, allowed }
}

const asParameter = (t: GoldenTensor, shape: readonly number[] = t.shape): TensorData =>
  ({ shape, type: t.dtype === 'I32' ? 'i32' : 'f32', data: t.data as Float32Array })

async function openNet(net: NetText, run: Run, programs: readonly string[]): Promise<Net> {
  return openText(net.text, run, net.batch, programs)
}

/** Compiles what is run, and what any bundle has. */
const openText = (text: string, { style, device, targets }: Run, batch: number, programs: readonly string[]): Promise<Net> =>
  open(compile(text, { style, targets, programs: [...programs, 'infer', 'eval'] }), { device, batch, programs })

async function setFrom(net: Net, names: ReadonlyMap<string, string>, golden: GoldenCase): Promise<void> {
  const values = new Map<string, TensorData>()
  for (const [theirs, ours] of names) {
    const shape = net.manifest.parameters.find((p) => p.name === ours)?.shape
    const t = golden.tensors.get(`param.${theirs}`)
    if (t) values.set(ours, asParameter(t, shape ?? t.shape))
  }
  await net.setParameters(values, { strict: false })
}

async function runNet(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const train = 'train { solver sgd(lr: 0) }'
  const described = netText(golden, { ...run, train })
  const keepsStatistics = described.statisticsOf.size > 0 && [...golden.tensors.keys()].some((name) => name.startsWith('stat.'))
  const net = await openNet(described, run, keepsStatistics ? ['gradients', 'train'] : ['gradients'])
  try {
    await setFrom(net, described.parameterName, golden)
    const inputs: Record<string, Float32Array | Int32Array> = {}
    for (const [blob, t] of tensorsBelow(golden, 'in.')) inputs[`b_${blob}`] = t.data as Float32Array
    for (const [blob, t] of tensorsBelow(golden, 'dout.')) if (t.shape.length > 0 || `l_${blob}` in namesOf(net)) inputs[`d_${blob}`] = t.data as Float32Array
    const needed = new Set(net.manifest.inputs.map((input) => input.name))
    for (const name of Object.keys(inputs)) if (!needed.has(name)) delete inputs[name]
    const result = await net.step(inputs, { update: false })
    const compared: Comparison[] = []
    const differentiable = new Set(Object.keys(result.grads))
    for (const [name, want] of golden.tensors) {
      const [kind, ...rest] = name.split('.')
      const blob = rest.join('.')
      if (kind === 'out') {
        const got = result.outputs[`o_${blob}`]
        if (got || described.outputs.includes(blob)) compared.push(compareTensor(golden, name, got, want.data, run.float64))
      } else if (kind === 'din') compared.push(compareTensor(golden, name, result.grads[`b_${blob}`], want.data, run.float64))
      else if (kind === 'dparam') {
        const ours = described.parameterName.get(blob)!
        // What gets no gradient at all has gradient zero: a bias that batch statistics cancel.
        const got = result.grads[ours] ?? (differentiable.has(ours) ? undefined : new Float64Array(want.data.length))
        compared.push(compareTensor(golden, name, got, want.data, run.float64))
      }
    }
    if (keepsStatistics) {
      await net.trainStep(inputs, { rate: 0 })
      const kept = await net.parameters()
      for (const [theirs, ours] of described.statisticsOf) {
        for (const [part, file] of [['mean', 'running_mean'], ['var', 'running_var']] as const) {
          const want = golden.tensors.get(`stat.${theirs}.${part}`)
          if (want) compared.push(compareTensor(golden, `stat.${theirs}.${part}`, kept.get(`${ours}.${file}`)?.data as Float32Array, want.data, run.float64))
        }
      }
    }
    return compared
  } finally {
    net.close()
  }
}

const namesOf = (net: Net): Record<string, true> => Object.fromEntries(net.manifest.outputs.map((o) => [o.name, true as const]))

async function runStatistics(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const { policy, options, eps } = golden.meta as { policy: string; options: Record<string, number>; eps: number }
  const stats = { ema: `moving(newest: ${options['decay']})`, cumulative: 'cumulative', caffe: `caffe(fraction: ${options['moving_average_fraction']})` }[policy]
  const x0 = golden.tensors.get('in.x0')!
  const test = golden.tensors.get('in.x_test')!
  const sample = x0.shape.slice(1)
  const layer = run.spelling === 'as given' ? `batch_norm(x, eps: ${eps}, affine: false, stats: ${stats}) as bn` : `batch_norm(x, eps: ${eps}, gamma: 1, beta: 0, stats: ${stats}) as bn`
  const text = `net statistics { input x: f32[${sample.join(', ')}] y = ${layer} output y = y loss = sum(y) } train { solver sgd(lr: 0) }`
  const net = await openText(text, run, x0.shape[0]!, ['train'])
  const compared: Comparison[] = []
  try {
    const countName = policy === 'caffe' ? 'bn.scale_factor' : 'bn.count'
    const start = new Map<string, TensorData>([
      ['bn.running_mean', asParameter(golden.tensors.get('in.initial_mean')!)],
      ['bn.running_var', asParameter(golden.tensors.get('in.initial_var')!)],
    ])
    if (policy !== 'ema') start.set(countName, asParameter(golden.tensors.get('in.initial_count')!))
    await net.setParameters(start, { strict: false })
    const rows: Record<string, number[]> = { stored_mean: [], stored_var: [], count: [], mean: [], var: [] }
    for (let i = 0; golden.tensors.has(`in.x${i}`); i++) {
      await net.trainStep({ x: golden.tensors.get(`in.x${i}`)!.data as Float32Array }, { rate: 0 })
      const kept = await net.parameters()
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
    const trained = await net.save()
    const tested = await open(run.float64 ? { ...trained, weights: await net.parameters() } : trained, { device: run.device, batch: test.shape[0]!, programs: ['infer'] })
    const { y } = await tested.run({ x: test.data as Float32Array })
    compared.push(compareTensor(golden, 'out.y', y, golden.tensors.get('out.y')!.data, run.float64))
    tested.close()
    return compared
  } finally {
    net.close()
  }
}

/** Gradients are given: `fc` of a one-image batch has its input as its weight's gradient. */
async function runSolver(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const { param_specs: specs, steps } = golden.meta as { param_specs: Record<string, { lr_mult: number; decay_mult: number }>; steps: number }
  const accumulate = Number(golden.meta['solver']['iter_size'] ?? 1)
  const names = Object.keys(specs)
  const sizes = new Map(names.map((name) => [name, golden.tensors.get(`param.${name}`)!.data.length]))
  const lines = names.flatMap((name) => {
    const { lr_mult, decay_mult } = specs[name]!
    return [`input g_${name}: f32[${sizes.get(name)}]`, `loss l_${name} = sum(fc(g_${name}, 1, bias: false, lr_mult: ${lr_mult}, decay_mult: ${decay_mult}) as ${name})`]
  })
  const text = `net solver { ${lines.join('\n')} }\ntrain { ${solverText(golden.meta['solver'])} ${scheduleText(golden.meta['solver'])} accumulate ${accumulate} }`
  const net = await openText(text, run, 1, ['train', 'accumulate'])
  const compared: Comparison[] = []
  try {
    await net.setParameters(new Map(names.map((name) => {
      const t = golden.tensors.get(`param.${name}`)!
      return [`${name}.weight`, asParameter(t, [1, t.data.length])]
    })))
    const rows = new Map<string, number[]>(names.map((name) => [name, []]))
    const rates: number[] = []
    for (let t = 0; t < steps; t++) {
      const batches = Array.from({ length: accumulate }, (_, part) => Object.fromEntries(names.map((name) => {
        const size = sizes.get(name)!
        const grad = golden.tensors.get(`grad.${name}`)!.data.slice(t * size, (t + 1) * size) as Float32Array
        // The given gradient is the sum over the batches of one update.
        return [`g_${name}`, part === 0 ? grad : new Float32Array(size)]
      })))
      const { rate } = await net.trainStep(accumulate === 1 ? batches[0]! : batches)
      rates.push(rate)
      const kept = await net.parameters()
      for (const name of names) rows.get(name)!.push(...(kept.get(`${name}.weight`)!.data as Float64Array))
    }
    for (const [name, got] of rows) compared.push(compareTensor(golden, `out.${name}`, got, golden.tensors.get(`out.${name}`)!.data, run.float64))
    compared.push(compareTensor(golden, 'out.lr', rates, golden.tensors.get('out.lr')!.data, run.float64))
    const { tensors } = await net.snapshot()
    for (const [name, want] of tensorsBelow(golden, 'history.')) {
      const slot = name.split('.').at(-1)!
      const parameter = name.slice(0, -slot.length - 1)
      const found = [...tensors].find(([key]) => key.startsWith('history/') && key.split('/')[1]!.endsWith(`.${slot}`) && key.endsWith(`/${parameter}.weight`))
      compared.push(compareTensor(golden, `history.${name}`, found?.[1].data as Float64Array, want.data, run.float64))
    }
    return compared
  } finally {
    net.close()
  }
}

async function runTraining(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const { steps, train_batches: batches, test_batch: testBatch, loss_atol_per_step: lossAtol, stats } = golden.meta as any
  const policy = typeof stats === 'string' ? { policy: stats } : stats
  const statsText = { ema: `moving(newest: ${policy.options?.decay ?? policy.decay ?? 0.95})`, cumulative: 'cumulative', caffe: `caffe(fraction: ${policy.options?.moving_average_fraction ?? policy.moving_average_fraction ?? 0.999})` }[policy.policy as string]
  const described = netText(golden, { ...run, everyBlob: false, stats: statsText, train: `train { ${solverText(golden.meta['solver'])} ${scheduleText(golden.meta['solver'])} }` })
  const scores = golden.layers.at(-1)!.bottom[0]!
  const text = described.text.replace('net golden {', 'net golden {').replace(/\n}\n/, `\n  output scores = b_${scores}\n}\n`)
  const net = await openText(text, run, described.batch, ['gradients', 'train', 'eval'])
  const compared: Comparison[] = []
  try {
    await setFrom(net, described.parameterName, golden)
    const zero = new Map<string, TensorData>()
    for (const p of net.manifest.parameters) if (!p.trainable) zero.set(p.name, { shape: p.shape, type: 'f32', data: new Float32Array(p.shape.reduce((a, b) => a * b, 1)) })
    await net.setParameters(zero, { strict: false })
    const batch = (i: number) => Object.fromEntries(['x', 'label'].map((name) => {
      const t = golden.tensors.get(`in.${name}`)!
      const size = t.data.length / t.shape[0]!
      return [`b_${name}`, t.data.slice(i * size, (i + 1) * size) as Float32Array]
    }))
    const losses: number[] = []
    const theirs = new Map([...described.parameterName].map(([a, b]) => [b, a]))
    for (let t = 0; t < steps; t++) {
      if (t === 0) {
        const { grads } = await net.step(batch(0), { update: false })
        for (const [name, want] of tensorsBelow(golden, 'grad0.')) {
          const got = grads[described.parameterName.get(name)!] ?? new Float64Array(want.data.length)
          compared.push(compareTensor(golden, `grad0.${name}`, got, want.data, run.float64))
        }
      }
      const { loss } = await net.trainStep(batch(t % batches))
      losses.push(await loss)
      if (t === 0) {
        for (const [ours, { data }] of await net.parameters()) {
          const name = theirs.get(ours)
          const want = name === undefined ? undefined : golden.tensors.get(`step1.${name}`)
          if (want) compared.push(compareTensor(golden, `step1.${name}`, data as Float64Array, want.data, run.float64))
        }
      }
    }
    const wantLosses = golden.tensors.get('out.losses')!.data
    losses.forEach((loss, t) => {
      const error = Math.abs(loss - wantLosses[t]!)
      compared.push({ tensor: `out.losses[${t}]`, error: error >= 0 ? error : Infinity, allowed: run.float64 ? 1e-9 : lossAtol[t] })
    })
    const final = await net.parameters()
    for (const [ours, { data }] of final) {
      const name = theirs.get(ours)
      const want = name === undefined ? undefined : golden.tensors.get(`final.${name}`)
      if (want) compared.push(compareTensor(golden, `final.${name}`, data as Float64Array, want.data, run.float64))
    }
    for (const [layer, ours] of described.statisticsOf) {
      for (const [part, file] of [['stored_mean', 'running_mean'], ['stored_var', 'running_var'], ['count', policy.policy === 'caffe' ? 'scale_factor' : 'count']] as const) {
        const want = golden.tensors.get(`stats.${layer}.${part}`)
        const got = final.get(`${ours}.${file}`)
        if (want && (got || part !== 'count')) compared.push(compareTensor(golden, `stats.${layer}.${part}`, got?.data as Float64Array, want.data, run.float64))
      }
    }
    const tested = await net.execute('eval', batch(testBatch))
    const values = await tested.values
    compared.push(compareTensor(golden, 'test.scores', values.get('scores'), golden.tensors.get('test.scores')!.data, run.float64))
    compared.push(compareTensor(golden, 'test.loss', values.get('loss'), golden.tensors.get('test.loss')!.data, run.float64))
    return compared
  } finally {
    net.close()
  }
}
