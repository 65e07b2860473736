import { format } from '../../dsl/index.ts'
import { UniqueNames } from '../../compiler/unique-names.ts'
import type { ModelNet, ModelResult } from '../model-net.ts'
import { signatureOf } from './argument-text.ts'
import type { Item } from './item.ts'
import type { BlockPlan, Plan } from './plan.ts'
import { statements } from './statements.ts'
import { trainText } from './train-text.ts'
import type { TrainingHint } from './training-hint.ts'
import { typeText } from './type-text.ts'
import { wordOf } from './words.ts'

/** The names of a net's inputs and results by the model's own. */
export interface ResultNames {
  readonly inputs: ReadonlyMap<string, string>
  readonly results: ReadonlyMap<ModelResult, string>
}

/** Inputs and results keep their names, as far as the language has such. */
export function resultNames(net: ModelNet): ResultNames {
  // All results are in one table, and a value called as an input would hide it.
  const unique = new UniqueNames(['loss'])
  const inputs = new Map(net.inputs.map(({ value }): [string, string] => [value, unique.give(wordOf(value, 'input_'))]))
  let plain = true
  const results = new Map(net.results.map((result): [ModelResult, string] => {
    // The first loss is called loss where it is said without a name.
    if (result.kind === 'loss' && result.name === 'loss' && plain) {
      plain = false
      return [result, 'loss']
    }
    return [result, unique.give(wordOf(result.name, result.kind))]
  }))
  return { inputs, results }
}

/** The text of a net as `fmt` lays it out. `remarks` are lines of comment at its end; `plain`: each layer is a statement of its own. */
export function netText(
  net: ModelNet,
  plan: Plan,
  names: ResultNames,
  { plain, hint }: {
    readonly plain?: boolean
    readonly hint?: (nameOf: (value: string) => string | undefined) => TrainingHint | undefined
  } = {},
): string {
  const weighted = withWeights(net, plan.items)
  const wanted = new Map<string, number>()
  for (const { value } of net.results) wanted.set(value, (wanted.get(value) ?? 0) + 1)
  const body = statements({
    items: weighted,
    given: names.inputs,
    taken: new Set([...names.results.values(), ...names.inputs.values()]),
    wanted,
    called: goodName,
    named: plain ? new Map(net.layers.map(({ output }, i) => [output, `v${i}`])) : scoresOf(net),
    instance: plan.instance,
  })
  const results = [...net.results].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)).map((result) => {
    const name = names.results.get(result)!
    const value = body.open.get(result.value) ?? body.names.get(result.value)!
    return `${result.kind}${result.kind === 'loss' && name === 'loss' ? '' : ` ${name}`} = ${value}`
  })
  const { remarks, train } = hint?.((value) => body.names.get(value)) ?? { remarks: [], train: [] }
  const lines = [
    ...(net.style === 'split' ? ['style split', ''] : []),
    ...net.inputs.map((input) => `input ${names.inputs.get(input.value)!}: ${typeText(input)}`),
    '',
    ...body.lines,
    '',
    ...results,
    ...(remarks.length > 0 ? ['', ...remarks.map(comment)] : []),
  ]
  return format([
    ...plan.blocks.map((block) => blockText(block, plan)),
    `net ${wordOf(net.name, 'net_')} {\n${lines.join('\n')}\n}`,
    ...(net.training ? [trainText(net.training)] : []),
    ...(train.length > 0 ? [train.map(comment).join('\n')] : []),
  ].join('\n\n'))
}

const ORDER: readonly ModelResult['kind'][] = ['output', 'loss', 'metric']

const comment = (line: string): string => `// ${line.replace(/[\n\r]+/g, ' ')}`.trimEnd()

/** A value's name in the model, where it is one that a person gave: not a number, a path, or what a tool counted. */
function goodName(value: string): string | undefined {
  return /^[A-Za-z][A-Za-z0-9_]{1,23}$/.test(value) && !/^(input|onnx|value|tensor|val|node|t|v)_?\d*$|\d{4}$/i.test(value) &&
      wordOf(value, '') === value
    ? value
    : undefined
}

/** What is read by the last softmax or sigmoid is what one trains on: it has a name. */
function scoresOf(net: ModelNet): ReadonlyMap<string, string> {
  const made = new Map(net.layers.map((layer) => [layer.output, layer]))
  const named = new Map<string, string>()
  for (const { kind, value } of net.results) {
    const last = kind === 'output' ? made.get(value) : undefined
    const scores = last && ['softmax', 'log_softmax', 'sigmoid'].includes(last.op) ? last.inputs[0] : undefined
    const isScored = typeof scores === 'string' && made.has(scores)
    // A long way to a result has a name of its own, as if it were read twice.
    const longWay = last && !isScored && ['fc', 'flatten', 'global_avg_pool'].includes(last.op) ? value : undefined
    const one = isScored ? scores : longWay
    if (one !== undefined && !named.has(one)) named.set(one, named.size === 0 ? 'logits' : `logits${named.size + 1}`)
  }
  return named
}

/** Losses that count with a factor of their own say it. */
function withWeights(net: ModelNet, items: readonly Item[]): Item[] {
  const weights = new Map(
    net.results.flatMap(({ value, weight }) => (weight === undefined || weight === 1 ? [] : [[value, weight] as const])),
  )
  return items.map((item) =>
    weights.has(item.output) && item.layer && signatureOf(item.layer.op)?.role === 'loss'
      ? { ...item, arguments: { ...item.arguments, weight: weights.get(item.output)! } }
      : item
  )
}

function blockText(block: BlockPlan, plan: Plan): string {
  const given = new Map(block.inputs.map((value, i) => [value, block.values[i]!]))
  const { lines, open, names } = statements({
    items: block.items,
    given,
    taken: new Set(block.parameters.map(({ name }) => name)),
    wanted: new Map([[block.output, 1]]),
    called: () => undefined,
    rebinds: true,
    named: new Map(),
    instance: plan.instance,
  })
  const parameters = block.parameters.map((
    parameter,
  ) => (parameter.default === undefined ? parameter.name : `${parameter.name}: ${parameter.default}`))
  const last = open.get(block.output) ?? names.get(block.output)!
  return `block ${block.name}(${[...block.values, ...parameters].join(', ')}) {\n${[...lines, `return ${last}`].join('\n')}\n}`
}
