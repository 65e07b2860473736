import { expect, test } from 'vitest'
import type { Parameter, Signature } from '../../dsl/signature.ts'
import { solverSlots } from '../../compiler/ops/solver.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { SCHEDULES } from '../../bundle/learning-rate.ts'

const all = (): Signature[] => Object.values(vocabulary).flat()
const parametersOf = (signature: Signature): Parameter[] =>
  signature.parameters.flatMap((p) => [p, ...(p.type.kind === 'call' ? p.type.calls.flatMap(parametersOf) : [])])

test('every layer that a file can write has a shape rule', () => {
  for (const layer of vocabulary.layers) expect(operators.get(layer.name)?.shape, layer.name).toBeTypeOf('function')
})

test('every operator stands under its own name, once', () => {
  for (const [name, operator] of operators) expect(operator.name).toBe(name)
})

test('no signature has two arguments of one name', () => {
  for (const signature of all()) {
    const names = signature.parameters.flatMap((p) => [p.name, ...(p.aliases ?? [])])
    expect(new Set(names).size, signature.name).toBe(names.length)
  }
})

test('what must be given does not stand behind what may be left out', () => {
  for (const signature of all()) {
    const required = signature.parameters.map((p) => p.default === undefined && !p.optional && p.type.kind !== 'value')
    expect(required.lastIndexOf(true), signature.name).toBeLessThan(
      Math.max(1, required.includes(false) ? required.indexOf(false) : required.length),
    )
  }
})

test('every default is of its own type', () => {
  for (const p of all().flatMap(parametersOf)) {
    if (p.default === undefined) continue
    const { type, default: value } = p
    const fits = type.kind === 'integer' ? Number.isInteger(value)
      : type.kind === 'number' ? typeof value === 'number'
      : type.kind === 'boolean' ? typeof value === 'boolean'
      : type.kind === 'word' ? type.words.includes(value as string)
      : type.kind === 'numbers' || type.kind === 'window' ? Array.isArray(value) || typeof value === 'string'
      : type.kind === 'call' ? type.calls.some((call) => call.name === (value as { call: string }).call)
      : true
    expect(fits, `${p.name} = ${JSON.stringify(value)}`).toBe(true)
  }
})

test('schedules are those that the runtime knows', () => {
  expect(vocabulary.schedules.map((s) => s.name).sort()).toEqual([...SCHEDULES].sort())
})

test('every solver has its operator and its histories', () => {
  for (const { name } of vocabulary.solvers) {
    expect(operators.has(name)).toBe(true)
    expect(solverSlots.get(name)!.length).toBeGreaterThan(0)
  }
})

test.each(
  [
    ['layers', 'relu leaky_relu prelu elu sigmoid tanh softplus silu gelu hard_sigmoid hard_swish clip'],
    ['layers', 'add mul max concat flatten reshape slice dropout softmax log_softmax batch_norm scale bias'],
    ['layers', 'softmax_loss sigmoid_loss squared_loss hinge_loss sum accuracy'],
    ['solvers', 'sgd nesterov adagrad rmsprop adadelta adam adamw'],
    ['augmentations', 'mirror crop'],
    ['datasets', 'mnist fashion_mnist cifar10 images idx'],
  ] as const,
)('%s: %s', (kind, names) => {
  for (const name of names.split(' ')) expect(vocabulary[kind].map((s) => s.name)).toContain(name)
})
