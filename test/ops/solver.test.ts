import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { nowhere } from '../../dsl/source.ts'
import { type Node, value, type Value } from '../../compiler/graph/graph.ts'
import { BLOCK, solverSignatures, solverSlots } from '../../compiler/ops/solver.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { expectClose, noise } from './run-operator.ts'

/** Parameters of 5, 70 and 9 numbers, packed in blocks of 64; the second has other multipliers, the third is frozen. */
const PARTS = [{ at: 0, count: 5, rate: 1, decay: 1 }, { at: 64, count: 70, rate: 2, decay: 0.5 }, { at: 192, count: 9, rate: 0, decay: 1 }]
const P = 256
const STEPS = 6

interface Rule {
  readonly solver: string
  readonly attributes?: Attributes
  /** One number, as the golden page writes it: h are the histories, changed in place; gives the new weight. */
  readonly rule: (w: number, g: number, r: number, h: number[], t: number, decay: number) => number
}

const RULES: readonly Rule[] = [
  {
    solver: 'sgd',
    attributes: { momentum: 0.9 },
    rule: (w, g, r, h) => {
      h[0] = 0.9 * h[0]! + r * g
      return w - h[0]
    },
  },
  { solver: 'sgd', rule: (w, g, r) => w - r * g },
  {
    solver: 'nesterov',
    attributes: { momentum: 0.8 },
    rule: (w, g, r, h) => {
      const old = h[0]!
      h[0] = 0.8 * old + r * g
      return w - (1.8 * h[0] - 0.8 * old)
    },
  },
  {
    solver: 'adagrad',
    attributes: { delta: 0.01 },
    rule: (w, g, r, h) => {
      h[0] = h[0]! + g * g
      return w - (r * g) / (Math.sqrt(h[0]) + 0.01)
    },
  },
  {
    solver: 'rmsprop',
    attributes: { decay: 0.98, delta: 1e-3 },
    rule: (w, g, r, h) => {
      h[0] = 0.98 * h[0]! + 0.02 * g * g
      return w - (r * g) / (Math.sqrt(h[0]) + 1e-3)
    },
  },
  {
    solver: 'adadelta',
    attributes: { momentum: 0.9, delta: 1e-2 },
    rule: (w, g, r, h) => {
      h[0] = 0.9 * h[0]! + 0.1 * g * g
      const u = g * Math.sqrt((h[1]! + 1e-2) / (h[0] + 1e-2))
      h[1] = 0.9 * h[1]! + 0.1 * u * u
      return w - r * u
    },
  },
  {
    solver: 'adam',
    attributes: { delta: 1e-3 },
    rule: (w, g, r, h, t) => {
      h[0] = 0.9 * h[0]! + 0.1 * g
      h[1] = 0.999 * h[1]! + 0.001 * g * g
      return w - (((r * Math.sqrt(1 - 0.999 ** (t + 1))) / (1 - 0.9 ** (t + 1))) * h[0]) / (Math.sqrt(h[1]) + 1e-3)
    },
  },
  {
    solver: 'adamw',
    attributes: { weight_decay: 0.1, delta: 1e-3 },
    rule: (w, g, r, h, t, decay) => {
      h[0] = 0.9 * h[0]! + 0.1 * g
      h[1] = 0.999 * h[1]! + 0.001 * g * g
      const [mean, square] = [h[0] / (1 - 0.9 ** (t + 1)), h[1] / (1 - 0.999 ** (t + 1))]
      return w * (1 - r * 0.1 * decay) - (r * mean) / (Math.sqrt(square) + 1e-3)
    },
  },
]

/** Runs the operator and the rule side by side and compares weights and histories after each step. */
function follow({ solver, attributes = {}, rule }: Rule, more: Attributes = {}): void {
  const defaults = solverSignatures.find((s) => s.name === solver)!.parameters.flatMap((
    p,
  ) => (p.default === undefined ? [] : [[p.name, p.default] as const]))
  const all: Attributes = { ...Object.fromEntries(defaults), ...attributes, ...more }
  const slots = solverSlots.get(solver)!
  const packed = (name: string): Value => value(name, [P], nowhere)
  const [weights, gradients, multipliers] = [packed('parameters'), packed('gradients'), value('multipliers', [P / BLOCK, 2], nowhere)]
  const histories = slots.map(packed)
  const factor = all['clip_gradients'] === undefined ? [] : [value('factor', [], nowhere)]
  const node: Node = {
    name: 'solve',
    op: solver,
    layer: 'solver',
    inputs: [gradients, multipliers, ...factor],
    outputs: [weights, ...histories],
    parameters: { parameters: weights, ...Object.fromEntries(slots.map((slot, i) => [slot, histories[i]!])) },
    attributes: all,
    span: nowhere,
  }
  const clip: Node[] = factor.map((out) => ({
    ...node,
    name: 'clip',
    op: 'gradient_clip',
    inputs: [gradients, multipliers],
    parameters: {},
    outputs: [out],
  }))
  const storage = new Map<Tensor, Numbers>([weights, gradients, ...histories].map((v) => [v, new Float64Array(P)]))
  const table = new Float64Array((P / BLOCK) * 2)
  const w = storage.get(weights)!
  const start = noise(P, 11)
  for (const part of PARTS) {
    for (let i = part.at; i < part.at + part.count; i++) w[i] = start[i]!
    for (let b = part.at / BLOCK; b < Math.ceil((part.at + part.count) / BLOCK); b++) table.set([part.rate, part.decay], 2 * b)
  }
  storage.set(multipliers, table)
  const want = Float64Array.from(w)
  const wantHistories = Array.from({ length: P }, () => slots.map(() => 0))
  for (let t = 0; t < STEPS; t++) {
    const g = storage.get(gradients)!
    const random = noise(P, 20 + t)
    for (const part of PARTS) for (let i = part.at; i < part.at + part.count; i++) g[i] = random[i]!
    const rate = 0.05 / (t + 1)
    const norm = Math.sqrt(Float64Array.from(g.subarray(0, PARTS[2]!.at)).reduce((sum, v) => sum + v * v, 0))
    const most = all['clip_gradients'] as number | undefined
    const clipped = most !== undefined && norm > most ? most / norm : 1
    for (const part of PARTS) {
      for (let i = part.at; part.rate > 0 && i < part.at + part.count; i++) {
        const wd = solver === 'adamw' ? 0 : ((all['weight_decay'] as number | undefined) ?? 0) * part.decay
        const given = (g[i]! * clipped) / ((all['accumulate'] as number | undefined) ?? 1) +
          wd * (all['regularize'] === 'l1' ? Math.sign(want[i]!) : want[i]!)
        want[i] = rule(want[i]!, given, rate * part.rate, wantHistories[i]!, t, part.decay)
      }
    }
    for (const n of [...clip, node]) {
      for (const e of operators.get(n.op)!.equations(n)) {
        evaluateEquation(e, storage, { batch: 1, rate, correction1: 1 - 0.9 ** (t + 1), correction2: 1 - 0.999 ** (t + 1) })
      }
    }
    expectClose(w, want, 1e-12, `weights after step ${t}`)
    if (all['momentum'] !== 0)
      histories.forEach((h, k) => expectClose(storage.get(h), wantHistories.map((row) => row[k]!), 1e-12, slots[k]))
  }
}

describe.each(RULES)('$solver $attributes', (rule) => {
  test('follows its formula', () => follow(rule))
  test('clips all gradients by their joint norm, then averages, then decays', () => follow(rule, { clip_gradients: 3, accumulate: 4 }))
  test('leaves nothing of gradients whose norm may be 0', () => follow(rule, { clip_gradients: 0 }))
  test('leaves short gradients as they are', () => follow(rule, { clip_gradients: 1e4 }))
})

describe.each(RULES.filter(({ solver }) => solver !== 'adamw'))('$solver $attributes', (rule) => {
  test.each(['l1', 'l2'])('decays by %s, each parameter by its multiplier', (regularize) => follow(rule, { weight_decay: 0.1, regularize }))
})

test('what nothing is stored in stays zero', () => {
  // Between packed parameters there are gaps; they have no gradient, and multipliers of their neighbours.
  follow(RULES.find(({ solver }) => solver === 'adam')!, { weight_decay: 0.1, regularize: 'l1' })
  expect(BLOCK * 4).toBe(256)
})
