import { asParameter, type Comparison, compareTensor, openText, type Run } from './comparison.ts'
import { type GoldenCase, tensorsBelow } from './golden-file.ts'
import { scheduleText, solverText } from './train-text.ts'
import { Words } from './words.ts'

/** The net of a solver case, and its parameters under the names of case and net. */
export function solverNet(golden: GoldenCase) {
  const specs = new Map(Object.entries(golden.meta['param_specs'] as Record<string, { lr_mult: number; decay_mult: number }>))
  const accumulate = Number(golden.meta['solver']['iter_size'] ?? 1)
  const words = new Words()
  const parameters = [...tensorsBelow(golden, 'param.')].map(([name, { data }]) => ({
    name,
    word: words.of(name),
    data,
    size: data.length,
    ...specs.get(name) ?? { lr_mult: 1, decay_mult: 1 },
  }))
  const lines = parameters.flatMap(({ word, size, lr_mult, decay_mult }) => [
    `input g_${word}: f32[${size}]`,
    `loss l_${word} = sum(fc(g_${word}, 1, bias: false, lr_mult: ${lr_mult}, decay_mult: ${decay_mult}) as n_${word})`,
  ])
  const text = `net solver { ${lines.join('\n')} }\ntrain { ${solverText(golden.meta['solver'])} ${
    scheduleText(golden.meta['solver'])
  } accumulate ${accumulate} }`
  return { text, parameters, accumulate }
}

/** Updates by given gradients: `fc` of a one-image batch has its input as its weight's gradient. */
export async function runSolver(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  const { steps } = golden.meta as { steps: number }
  const { text, parameters, accumulate } = solverNet(golden)
  const net = await openText(text, run, 1, accumulate === 1 ? ['train'] : ['train', 'accumulate'])
  const compared: Comparison[] = []
  try {
    await net.setParameters(
      new Map(parameters.map(({ word, name, size }) => [`n_${word}.weight`, asParameter(golden.tensors.get(`param.${name}`)!, [1, size])])),
    )
    const rows = new Map<string, number[]>(parameters.map(({ name }) => [name, []]))
    const rates: number[] = []
    for (let t = 0; t < steps; t++) {
      const batches = Array.from({ length: accumulate }, (_, part) =>
        Object.fromEntries(parameters.map(({ name, word, size }) => {
          const grad = golden.tensors.get(`grad.${name}`)!.data.slice(t * size, (t + 1) * size) as Float32Array
          // The given gradient is the sum over the batches of one update.
          return [`g_${word}`, part === 0 ? grad : new Float32Array(size)]
        })))
      const { rate } = await net.trainStep(accumulate === 1 ? batches[0]! : batches)
      rates.push(rate)
      const kept = await net.parameters()
      for (const { name, word } of parameters) rows.get(name)!.push(...(kept.get(`n_${word}.weight`)!.data as Float64Array))
    }
    for (const [name, got] of rows)
      compared.push(compareTensor(golden, `out.${name}`, got, golden.tensors.get(`out.${name}`)!.data, run.float64))
    compared.push(compareTensor(golden, 'out.lr', rates, golden.tensors.get('out.lr')!.data, run.float64))
    const { tensors } = await net.snapshot()
    for (const [name, want] of tensorsBelow(golden, 'history.')) {
      const slot = name.split('.').at(-1)!
      const parameter = parameters.find((p) => p.name === name.slice(0, -slot.length - 1))!
      // What never moves keeps no history.
      if (parameter.lr_mult === 0) continue
      const found = [...tensors].find(([key]) =>
        key.startsWith('history/') && key.split('/')[1]!.endsWith(`.${slot}`) && key.endsWith(`/n_${parameter.word}.weight`)
      )
      compared.push(compareTensor(golden, `history.${name}`, found?.[1].data as Float64Array, want.data, run.float64))
    }
    return compared
  } finally {
    net.close()
  }
}
