import type { Net } from '../../runtime/index.ts'
import { type Comparison, compareTensor, gradientOf, openText, type Run, setFrom } from './comparison.ts'
import type { GoldenCase } from './golden-file.ts'
import { netText, type NetText } from './net-text.ts'

type Numbers = Float64Array | Float32Array | Int32Array
type Inputs = Record<string, Float32Array | Int32Array>

/** Layers forward and backward: every blob, gradients of inputs and parameters, statistics of the batch. */
export async function runNet(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const described = netText(golden, { ...run, train: 'train { solver sgd(lr: 0) }' })
  const keepsStatistics = described.statisticsOf.size > 0 && [...golden.tensors.keys()].some((name) => name.startsWith('stat.'))
  const programs = described.differentiable ? ['gradients', ...(keepsStatistics ? ['train'] : [])] : ['infer']
  const net = await openText(described.text, run, described.batch, programs)
  try {
    await setFrom(net, described.parameterNames, golden)
    const inputs = inputsFor(net, golden, described)
    const { outputs, grads } = described.differentiable ? await net.step(inputs, { update: false })
      : { outputs: await net.run(inputs), grads: {} }
    const compared: Comparison[] = []
    for (const [name, { data: want }] of golden.tensors) {
      const [kind] = name.split('.')
      const rest = name.slice(kind!.length + 1)
      if (kind === 'out') {
        const ours = described.outputs.get(rest)
        if (ours !== undefined) compared.push(compareTensor(golden, name, outputs[ours], want, run.float64))
      } else if (kind === 'din')
        compared.push(compareTensor(golden, name, gradientOf(grads, [described.inputNames.get(rest)!], want.length), want, run.float64))
      else if (kind === 'dparam')
        compared.push(
          compareTensor(golden, name, gradientOf(grads, described.parameterNames.get(rest) ?? [], want.length), want, run.float64),
        )
    }
    if (keepsStatistics && described.differentiable) {
      await net.trainStep(inputs, { rate: 0 })
      const kept = await net.parameters()
      for (const [theirs, ours] of described.statisticsOf) {
        for (const [part, file] of [['mean', 'running_mean'], ['var', 'running_var']] as const) {
          const want = golden.tensors.get(`stat.${theirs}.${part}`)
          if (want)
            compared.push(
              compareTensor(golden, `stat.${theirs}.${part}`, kept.get(`${ours}.${file}`)?.data as Float32Array, want.data, run.float64),
            )
        }
      }
    }
    return compared
  } finally {
    net.close()
  }
}

/** What a case gives, under the names and in the types of the net; what the net reads nothing of is left out. */
export function inputsFor(net: Net, golden: GoldenCase, described: NetText, part = (data: Numbers): Numbers => data): Inputs {
  return Object.fromEntries(net.manifest.inputs.map(({ name, type }) => {
    const data = part(golden.tensors.get(described.inputs.get(name)!)!.data)
    return [name, type === 'i32' ? Int32Array.from(data) : Float32Array.from(data)]
  }))
}
