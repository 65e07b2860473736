import { LocalNet } from '../../runtime/net.ts'
import type { TensorData } from '../../runtime/index.ts'
import { type Comparison, compareTensor, gradientOf, openText, type Run, setFrom } from './comparison.ts'
import { type GoldenCase, tensorsBelow } from './golden-file.ts'
import { isLoss } from './layer-text.ts'
import { netText, type NetText } from './net-text.ts'
import { inputsFor } from './run-net.ts'
import { statsText } from './run-statistics.ts'
import { scheduleText, solverText } from './train-text.ts'

/** The net of a training case, with its solver. */
export function trainingNet(
  golden: GoldenCase,
  { spelling }: Pick<Run, 'spelling'>,
): NetText & { readonly scores: string; readonly share: number } {
  const { stats, solver } = golden.meta as any
  // Each step's gradient is of one batch, and divided by `iter_size`: as if the loss were, and the bound on its norm.
  const share = 1 / Number(solver.iter_size ?? 1)
  const divided = solver.clip_gradients >= 0 ? { ...solver, clip_gradients: solver.clip_gradients * share } : solver
  const scores = golden.layers.find(isLoss)!.bottom[0]!
  return {
    ...netText(golden, {
      spelling,
      everyBlob: false,
      asWell: [scores],
      stats: statsText(stats ?? 'ema'),
      lossFactor: share,
      train: `train { ${solverText(divided)} ${scheduleText(solver)} }`,
    }),
    scores,
    share,
  }
}

/** A short training: its losses, its first gradients and update, what it ends with, and the test after it. */
export async function runTraining(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const { steps, train_batches: batches, test_batch: testBatch, loss_atol_per_step: lossAtol } = golden.meta as any
  const described = trainingNet(golden, run)
  const { scores, share } = described
  const net = await openText(described.text, run, described.batch, ['gradients', 'train', 'eval'])
  const compared: Comparison[] = []
  const compare = (name: string, got: ArrayLike<number> | undefined): void => {
    const want = golden.tensors.get(name)
    if (want) compared.push(compareTensor(golden, name, got, want.data, run.float64))
  }
  try {
    const given = new Set(
      [...described.parameterNames].flatMap(([theirs, copies]) => (golden.tensors.has(`param.${theirs}`) ? copies : [])),
    )
    const zero = new Map<string, TensorData>()
    for (const { name, shape, trainable } of net.manifest.parameters)
      if (!trainable && !given.has(name))
        zero.set(name, {
          shape,
          type: 'f32',
          data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
        })
    await net.setParameters(zero, { strict: false })
    await setFrom(net, described.parameterNames, golden)
    const count = [...tensorsBelow(golden, 'in.').values()][0]!.shape[0]!
    const batch = (i: number) =>
      inputsFor(net, golden, described, (data) => data.slice((i * data.length) / count, ((i + 1) * data.length) / count))
    const losses: number[] = []
    for (let t = 0; t < steps; t++) {
      if (t === 0) {
        const { grads } = await net.step(batch(0), { update: false })
        // Gradients of the loss as the case has it.
        for (const [name, want] of tensorsBelow(golden, 'grad0.'))
          compare(
            `grad0.${name}`,
            gradientOf(grads, described.parameterNames.get(name) ?? [], want.data.length).map((v) => v / share),
          )
      }
      const { loss } = await net.trainStep(batch(t % batches))
      losses.push(await loss / share)
      if (t === 0) {
        for (const [theirs, [ours]] of described.parameterNames)
          compare(`step1.${theirs}`, (await net.parameters()).get(ours!)?.data as Float64Array)
      }
    }
    const wantLosses = golden.tensors.get('out.losses')!.data
    losses.forEach((loss, t) => {
      const error = Math.abs(loss - wantLosses[t]!)
      compared.push({ tensor: `out.losses[${t}]`, error: error >= 0 ? error : Infinity, allowed: run.float64 ? 1e-9 : lossAtol[t] })
    })
    const final = await net.parameters()
    for (const [theirs, [ours]] of described.parameterNames) compare(`final.${theirs}`, final.get(ours!)?.data as Float64Array)
    for (const [layer, ours] of described.statisticsOf) {
      compare(`stats.${layer}.stored_mean`, final.get(`${ours}.running_mean`)?.data as Float64Array)
      compare(`stats.${layer}.stored_var`, final.get(`${ours}.running_var`)?.data as Float64Array)
      const counted = final.get(`${ours}.scale_factor`) ?? final.get(`${ours}.count`)
      if (counted) compare(`stats.${layer}.count`, counted.data as Float64Array) // a moving average needs no count
    }
    const tested = await LocalNet.executorOf(net).execute('eval', batch(testBatch))
    const values = await tested.values
    compare('test.scores', values.get(described.outputs.get(scores)!))
    // A loss by itself is without its factor.
    compare('test.loss', [
      golden.layers.filter(isLoss).reduce((sum, { top }) => sum + Number(values.get(described.outputs.get(top[0]!)!)?.[0]), 0),
    ])
    return compared
  } finally {
    net.close()
  }
}
