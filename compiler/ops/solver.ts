import { BINDING_ELEMENTS } from '../../bundle/layout.ts'
import type { Attributes, Parameter, Signature } from '../../dsl/signature.ts'
import type { Value } from '../graph/graph.ts'
import { add, constant, div, type Expression, guard, ifFinite, load, mul, type Operand, scalar, select, sign, sqrt, sub, sum,
  within } from '../ir/expression.ts'
import { axis, divide, plus, times } from '../ir/affine.ts'
import { count, type Equation, equation, store } from '../ir/equation.ts'
import { tensor } from '../ir/tensor.ts'
import type { Operator } from './operator.ts'
import { numberOf } from './elementwise.ts'

/*
 * A solver is one loop over all trained parameters, packed in one array [P] of the buffer `parameters`; gradients and
 * histories have the same layout. A node of a solver has
 *   inputs      gradients [P], multipliers [P / 64, 2] (lr_mult and decay_mult of each block of 64), and, where gradients
 *               are clipped, the factor [] that `gradient_clip` made of them
 *   parameters  `parameters` [P], and a history [P] for each of the solver's slots
 *   outputs     the same values, updated in place, parameters first, and a counter [1] of integers
 *   attributes  the solver's arguments, and `accumulate`: how many batches the gradients are a sum over
 * A result that is not finite is not written: the old weight and histories stay, and the counter grows by one for each element of which
 * the gradient, the new weight or a new history is not a number. So a broken step is known by its bits, and does not destroy weights.
 * A parameter with lr_mult 0 keeps weight and histories to the bit, uncounted, whatever momentum and decay would do: a host freezes parameters by it.
 *
 * The rate is the scalar `rate`; Adam's 1 - b^(t+1) are `correction1` and `correction2`. The formulas are Caffe's.
 */

/** Elements of a block that has one pair of multipliers: parameters start at multiples of 64 elements. */
export const BLOCK: number = BINDING_ELEMENTS

interface Solver {
  readonly name: string
  readonly doc: string
  readonly slots: readonly string[]
  readonly parameters: readonly Parameter[]
  /** The new weight and the new histories. */
  readonly update: (w: Expression, g: Expression, rate: Expression, h: readonly Expression[], a: Attributes) => readonly Expression[]
  /** Decay is subtracted from the weight instead of being added to the gradient (AdamW). */
  readonly decoupled?: boolean
}

const number = (name: string, otherwise: number, doc: string, more: Partial<Parameter> = {}): Parameter => ({
  name,
  type: { kind: 'number', min: 0 },
  default: otherwise,
  doc,
  ...more,
})

const lr = (otherwise: number): Parameter => number('lr', otherwise, 'the learning rate that the schedule starts from')
/** A parameter between 0 and 1, the weight of the past: with 1 nothing would be forgotten, and sums or corrections would grow without end. */
const share = (name: string, otherwise: number, doc: string, more: Partial<Parameter> = {}): Parameter =>
  number(name, otherwise, doc, { type: { kind: 'number', min: 0, below: 1 }, ...more })
const momentum = (otherwise: number): Parameter => share('momentum', otherwise, 'the weight of the past')
const delta = (otherwise: number): Parameter =>
  number('delta', otherwise, 'keeps divisors away from 0', { type: { kind: 'number', above: 0 }, named: true, aliases: ['eps'] })
const betas: readonly Parameter[] = [
  share('beta1', 0.9, 'the weight of past gradients', { aliases: ['momentum'] }),
  share('beta2', 0.999, 'the weight of past squares', { aliases: ['momentum2'] }),
]
const decay: Parameter = number('weight_decay', 0, 'how strongly weights are drawn to 0')
const regularize: Parameter = {
  name: 'regularize',
  type: { kind: 'word', words: ['l2', 'l1'] },
  default: 'l2',
  named: true,
  doc: 'whether decay follows the weight or its sign',
}
const clip: Parameter = {
  name: 'clip_gradients',
  type: { kind: 'number', min: 0 },
  optional: true,
  named: true,
  doc: 'the largest joint norm of all gradients; 0 leaves nothing of them',
}

/** h' = mu h + r g; without momentum the past is not looked at. */
const velocity = (h: Expression, g: Expression, rate: Expression, a: Attributes): Expression => {
  const momentum = numberOf(a, 'momentum', 0)
  return momentum === 0 ? mul(rate, g) : add(mul(momentum, h), mul(rate, g))
}
/** b old + (1 - b) new */
const mix = (weight: number, old: Expression, now: Expression): Expression => add(mul(weight, old), mul(1 - weight, now))
const beta1 = (a: Attributes): number => numberOf(a, 'beta1', 0.9)
const beta2 = (a: Attributes): number => numberOf(a, 'beta2', 0.999)

const SOLVERS: readonly Solver[] = [
  {
    name: 'sgd',
    doc: 'stochastic gradient descent with momentum',
    slots: ['h'],
    parameters: [lr(0.01), momentum(0), decay, regularize, clip],
    // h = mu h + r g;  w -= h
    update: (w, g, rate, [h], a) => {
      const next = velocity(h!, g, rate, a)
      return [sub(w, next), next]
    },
  },
  {
    name: 'nesterov',
    doc: "gradient descent with Nesterov's momentum",
    slots: ['h'],
    parameters: [lr(0.01), momentum(0.9), decay, regularize, clip],
    // w -= (1 + mu) h' - mu h
    update: (w, g, rate, [h], a) => {
      const mu = numberOf(a, 'momentum', 0.9)
      const next = velocity(h!, g, rate, { momentum: mu })
      return [sub(w, sub(mul(1 + mu, next), mul(mu, h!))), next]
    },
  },
  {
    name: 'adagrad',
    doc: 'rates that shrink with the squares seen so far',
    slots: ['h'],
    parameters: [lr(0.01), decay, delta(1e-8), regularize, clip],
    // h += g^2;  w -= r g / (sqrt(h) + delta)
    update: (w, g, rate, [h], a) => {
      const next = add(h!, mul(g, g))
      return [sub(w, div(mul(rate, g), add(sqrt(next), numberOf(a, 'delta', 1e-8)))), next]
    },
  },
  {
    name: 'rmsprop',
    doc: 'rates by a moving average of squares',
    slots: ['h'],
    parameters: [
      lr(0.01),
      share('decay', 0.99, 'the weight of past squares', { aliases: ['rms_decay'] }),
      decay,
      delta(1e-8),
      regularize,
      clip,
    ],
    // h = d h + (1 - d) g^2;  w -= r g / (sqrt(h) + delta)
    update: (w, g, rate, [h], a) => {
      const next = mix(numberOf(a, 'decay', 0.99), h!, mul(g, g))
      return [sub(w, div(mul(rate, g), add(sqrt(next), numberOf(a, 'delta', 1e-8)))), next]
    },
  },
  {
    name: 'adadelta',
    doc: 'steps by moving averages of squared gradients and squared steps',
    slots: ['hg', 'hu'],
    parameters: [lr(1), momentum(0.95), decay, delta(1e-6), regularize, clip],
    // hg = mu hg + (1 - mu) g^2;  u = g sqrt((hu + delta) / (hg + delta));  hu = mu hu + (1 - mu) u^2;  w -= r u
    update: (w, g, rate, [hg, hu], a) => {
      const mu = numberOf(a, 'momentum', 0.95)
      const small = numberOf(a, 'delta', 1e-6)
      const squares = mix(mu, hg!, mul(g, g))
      const step = mul(g, sqrt(div(add(hu!, small), add(squares, small))))
      return [sub(w, mul(rate, step)), squares, mix(mu, hu!, mul(step, step))]
    },
  },
  {
    name: 'adam',
    doc: 'moving averages of gradients and their squares (Kingma & Ba 2015)',
    slots: ['m', 'v'],
    parameters: [lr(0.001), ...betas, decay, delta(1e-8), regularize, clip],
    // w -= r sqrt(1 - b2^(t+1)) / (1 - b1^(t+1)) m / (sqrt(v) + delta)
    update: (w, g, rate, [m, v], a) => {
      const mean = mix(beta1(a), m!, g)
      const squares = mix(beta2(a), v!, mul(g, g))
      const corrected = mul(rate, div(sqrt(scalar('correction2')), scalar('correction1')))
      return [sub(w, div(mul(corrected, mean), add(sqrt(squares), numberOf(a, 'delta', 1e-8)))), mean, squares]
    },
  },
  {
    name: 'adamw',
    doc: 'Adam with decay apart from the gradient (Loshchilov & Hutter 2019)',
    slots: ['m', 'v'],
    decoupled: true,
    parameters: [lr(0.001), ...betas, number('weight_decay', 0.01, 'how strongly weights are drawn to 0'), delta(1e-8), clip],
    // w *= 1 - r weight_decay;  w -= r mhat / (sqrt(vhat) + delta)
    update: (w, g, rate, [m, v], a) => {
      const mean = mix(beta1(a), m!, g)
      const squares = mix(beta2(a), v!, mul(g, g))
      const step = div(div(mean, scalar('correction1')), add(sqrt(div(squares, scalar('correction2'))), numberOf(a, 'delta', 1e-8)))
      return [sub(w, mul(rate, step)), mean, squares]
    },
  },
]

/** The names of each solver's histories, in the order of its outputs. */
export const solverSlots: ReadonlyMap<string, readonly string[]> = new Map(SOLVERS.map((s) => [s.name, s.slots]))

export const solverSignatures: readonly Signature[] = SOLVERS.map(({ name, parameters, doc }) => ({ name, parameters, doc }))

/** One element of a parameter, before an update. */
export interface UpdateOf {
  readonly weight: Expression
  /** The sum over all batches that are added up. */
  readonly gradient: Expression
  /** The factor by which gradients are clipped, where they are. */
  readonly clip?: Expression
  readonly histories: readonly Expression[]
  readonly rateMultiplier: Expression
  readonly decayMultiplier: Expression
}

/** What becomes of it. */
export interface Updated {
  /** The new weight and the new histories; the old ones where the parameter is frozen or one of them is not finite. */
  readonly values: readonly Expression[]
  /** 1 where it is left as it was since something is not finite, else 0. */
  readonly broken: Expression
}

/** The update of an element by the solver of this name, `a` its arguments and `accumulate`. */
export function updated(name: string, of: UpdateOf, a: Attributes): Updated {
  const { weight, gradient, histories, rateMultiplier } = of
  const solver = SOLVERS.find((each) => each.name === name)!
  const rate = mul(scalar('rate'), rateMultiplier)
  const unlessFrozen = (learned: Expression, otherwise: Operand): Expression => select('eq', rateMultiplier, 0, otherwise, learned)
  const g = gradientOf(of, a, solver.decoupled === true)
  const amount = numberOf(a, 'weight_decay', 0)
  const w = solver.decoupled && amount !== 0 ? mul(weight, sub(1, mul(rate, mul(amount, of.decayMultiplier)))) : weight
  const now = solver.update(w, g, rate, histories, a)
  const old = [weight, ...histories]
  const broken = [gradient, ...now].reduceRight<Expression>((others, result) => ifFinite(result, others, 1), constant(0))
  return {
    values: now.map((value, k) => unlessFrozen(select('eq', broken, 0, value, old[k]!), old[k]!)),
    broken: unlessFrozen(broken, 0),
  }
}

/** Clip, average over the batches that were added up, then decay: in that order, as in Caffe. */
function gradientOf({ weight, gradient, clip, decayMultiplier }: UpdateOf, a: Attributes, decoupled: boolean): Expression {
  const clipped = clip ? mul(gradient, clip) : gradient
  const batches = numberOf(a, 'accumulate', 1)
  const g = batches === 1 ? clipped : div(clipped, batches)
  const amount = numberOf(a, 'weight_decay', 0)
  if (amount === 0 || decoupled) return g
  return add(g, mul(mul(amount, decayMultiplier), a['regularize'] === 'l1' ? sign(weight) : weight))
}

function solverOperator({ name, slots }: Solver): Operator {
  return {
    name,
    equations: (node): readonly Equation[] => {
      const [gradients, multipliers, factor] = node.inputs as readonly [Value, Value, Value | undefined]
      const weights = node.parameters['parameters']!
      const histories = slots.map((slot) => node.parameters[slot]!)
      const i = axis('i', weights.shape[0]!)
      const block = divide(i, BLOCK)
      const { values, broken } = updated(name, {
        weight: load(weights, i),
        gradient: load(gradients, i),
        ...(factor && { clip: load(factor) }),
        histories: histories.map((h) => load(h, i)),
        rateMultiplier: load(multipliers, block, 0),
        decayMultiplier: load(multipliers, block, 1),
      }, node.attributes)
      const counter = node.outputs.at(-1)!
      return [equation(node.name, [node.layer], [i], [
        ...[weights, ...histories].map((out, k) => store(out, [i], values[k]!)),
        ...(counter.type === 'i32' ? [count(counter, broken)] : []),
      ])]
    },
  }
}

const PARTS = 256

/** The factor that gradients are clipped by, of the sum of all their squares: see `gradientClip`. */
export function clipFactor(squares: Expression, most: number): Expression {
  const norm = sqrt(squares)
  return ifFinite(norm, select('le', norm, most, most === 0 ? 0 : 1, div(most, norm)), norm)
}

/**
 * min(1, clip / norm), of the joint L2 norm of all gradients; 0 where `clip_gradients` is 0, whatever the norm. A norm whose square
 * float32 cannot hold (beyond 1.8e19) is the factor itself: the update then counts as broken, where clip / Infinity would be a silent 0.
 * A parameter with lr_mult 0 does not count in it. Inputs: gradients [P], multipliers [P / 64, 2]; attribute `clip_gradients`; output [].
 */
const gradientClip: Operator = {
  name: 'gradient_clip',
  equations: (node) => {
    const [gradients, multipliers] = node.inputs as readonly [Value, Value]
    const count = gradients.shape[0] as number
    const parts = Math.min(PARTS, count)
    const squares = tensor(`${node.name}.squares`, [parts])
    const part = axis('part', parts)
    const round = axis('round', Math.ceil(count / parts))
    const at = plus(part, times(round, parts))
    const g = guard([within(at, count)], select('eq', load(multipliers, divide(at, BLOCK), 0), 0, 0, load(gradients, at)))
    const again = axis('part', parts)
    return [
      equation(`${node.name}.squares`, [node.layer], [part], [store(squares, [part], sum([round], mul(g, g)))]),
      equation(node.name, [node.layer], [], [
        store(node.outputs[0]!, [], clipFactor(sum([again], load(squares, again)), numberOf(node.attributes, 'clip_gradients', 1))),
      ]),
    ]
  },
}

export const solverOperators: readonly Operator[] = [...SOLVERS.map(solverOperator), gradientClip]
