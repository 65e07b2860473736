import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { choiceOf, type Condition, whereNotZero } from '../../compiler/codegen/conditions.ts'
import { axis } from '../../compiler/ir/affine.ts'
import { equation, store } from '../../compiler/ir/equation.ts'
import { add, constant, div, type Expression, guard, ifFinite, load, mul, select, sub, within } from '../../compiler/ir/expression.ts'
import { topDown } from '../../compiler/ir/rewrite.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { solverSignatures, solverSlots, updated } from '../../compiler/ops/solver.ts'
import { evaluateInFloat32 } from '../ops/float32.ts'

/** Eight of them: three bits of a number say which. */
const NUMBERS = [0, 1, 1e20, 3e38, -3e38, Infinity, -Infinity, NaN]

/** A condition as a choice between two values, with one test in each choice. */
function choose(c: Condition, yes: Expression, no: Expression): Expression {
  switch (c.kind) {
    case 'truth':
      return c.value ? yes : no
    case 'test':
      return { ...c.of, yes, no }
    case 'not':
      return choose(c.of, no, yes)
    case 'all':
      return c.of.reduceRight((others, each) => choose(each, others, no), yes)
  }
}
/** The same value by the conditions that its choices come to. */
const rewritten = (e: Expression): Expression =>
  topDown((node) => {
    if (node.kind !== 'select') return undefined
    const { condition, yes, no } = choiceOf(node)
    return choose(condition, yes, no)
  })(e)
/** How many different tests there are in a condition. */
const tests = (c: Condition, found = new Set<Expression>()): number => {
  if (c.kind === 'test') found.add(c.of.a)
  else if (c.kind === 'not') tests(c.of, found)
  else if (c.kind === 'all') { for (const each of c.of) tests(each, found) }
  return found.size
}

/** Values of expressions over all combinations of numbers for these tensors, each operation rounded to float32. */
function valuesOf(values: readonly Expression[], inputs: readonly Tensor[], rate: number): Float32Array[] {
  const [count] = inputs[0]!.shape as [number]
  const storage = new Map(inputs.map((t, k) => [t, Float32Array.from({ length: count }, (_, i) => NUMBERS[(i >> (3 * k)) & 7]!)]))
  const outputs = values.map((_, k) => tensor(`out${k}`, [count]))
  evaluateInFloat32(equation('e', [], [i(count)], values.map((value, k) => store(outputs[k]!, [i(count)], value))), storage, rate)
  return outputs.map((t) => storage.get(t) as Float32Array)
}
const axes = new Map<number, ReturnType<typeof axis>>()
const i = (count: number): ReturnType<typeof axis> => {
  if (!axes.has(count)) axes.set(count, axis('i', count))
  return axes.get(count)!
}

describe.each(solverSignatures.map(({ name }) => name))('the update of %s', (solver) => {
  const slots = solverSlots.get(solver)!
  const count = 8 ** (2 + slots.length)
  const inputs = ['w', 'g', ...slots].map((name) => tensor(name, [count]))
  const [weight, gradient, ...histories] = inputs.map((t) => load(t, i(count))) as [Expression, Expression, ...Expression[]]

  test.each([0, 1, NaN])('is the same to the bit by joined conditions, at %d times the rate', (multiplier) => {
    const settings: readonly Attributes[] = [{}, { momentum: 0.9, weight_decay: 0.1, accumulate: 2 }, {
      weight_decay: 0.1,
      regularize: 'l1',
      beta1: 0,
    }]
    for (const attributes of settings) {
      const of = { weight, gradient, histories, rateMultiplier: constant(multiplier), decayMultiplier: constant(1) }
      const { values, broken } = updated(solver, of, attributes)
      const given = [...values, broken]
      // The scalars of a step are all the number in the place of the batch.
      for (const rate of [0.01, 0]) expect(valuesOf(given.map(rewritten), inputs, rate)).toEqual(valuesOf(given, inputs, rate))
      const counted = choose(whereNotZero(broken)!, constant(1), constant(0))
      expect(valuesOf([counted], inputs, 0.01)).toEqual(valuesOf([broken], inputs, 0.01))
    }
  })
})

/*
 * w - h' is finite only if h' is, and h' = m h + r g only if g is. A quotient by the root of infinite squares is 0: of Adam the squares are tested
 * beside the weight, of AdaDelta both averages.
 */
test.each([['sgd', 1], ['nesterov', 1], ['adagrad', 2], ['rmsprop', 2], ['adam', 2], ['adamw', 2], ['adadelta', 3]])(
  'what %s looks at',
  (solver, count) => {
    const slots = solverSlots.get(solver)!
    const [weight, gradient, ...histories] = ['w', 'g', ...slots].map((name) => load(tensor(name, []))) as [Expression, Expression]
    const of = { weight, gradient, histories, rateMultiplier: load(tensor('m', [])), decayMultiplier: constant(1) }
    // And whether the parameter is frozen.
    expect(tests(whereNotZero(updated(solver, of, { momentum: 0.9, weight_decay: 0.1 }).broken)!)).toBe(count + 1)
  },
)

describe('a number that is finite', () => {
  const [a, b] = [load(tensor('a', [64]), i(64)), load(tensor('b', [64]), i(64))]
  const both = (x: Expression, y: Expression): number => tests(whereNotZero(ifFinite(x, ifFinite(y, 1, 0), 0))!)
  test('is so only if its terms, its factors and its dividend are', () => {
    for (const  of of[add(a, b), sub(b, a), mul(a, b), mul(a, 0), div(a, b)]) {
      expect(both(a, of)).toBe(1)
      expect(both(of, a)).toBe(1)
    }
  })
  test('says nothing of a divisor, of what is chosen or is padding', () => {
    for (const  of of[div(b, a), select('lt', b, 0, a, b), mul(a, guard([within(i(64), 8)], b)), mul(a, select('lt', b, 0, 0, 0))])
      expect(both(a, of)).toBe(2)
  })
})
