import type { ModelLayer } from '../model-net.ts'
import { call, cube, isNearly, match, number, oneOf, plus, square, type Term, times } from './match.ts'
import { nodesOf, type Pattern } from './pattern.ts'

/** min(max(x, lo), hi), however it is spelled. */
const clipped = (x: Term, lo: number, hi: number): Term =>
  oneOf(
    call('clip', [x], { where: (a) => a['lo'] === lo && a['hi'] === hi }),
    call('min', [oneOf(call('max', [x, number(lo)]), ...(lo === 0 ? [call('relu', [x])] : [])), number(hi)]),
    call('max', [call('min', [x, number(hi)]), number(lo)]),
  )

/** 0 up to -3, 1 from 3 on, in between x / 6 + 1/2: alpha as float32 has it too. */
const isSixth = (a: ModelLayer['arguments']): boolean =>
  (a['alpha'] === undefined || isNearly(Number(a['alpha']), 1 / 6)) && (a['beta'] === undefined || a['beta'] === 0.5)
const hardSigmoid = (x: Term): Term => call('hard_sigmoid', [x], { where: isSixth })
const reluSix = (x: Term): Term => clipped(plus(x, 3), 0, 6)

/** 1 + erf(x / sqrt(2)): twice the normal distribution. */
const twiceNormal = (x: Term): Term => plus(call('erf', [times(x, Math.SQRT1_2)]), 1)
/** 1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)) (Hendrycks & Gimpel 2016); or with x taken out of the bracket. */
const twiceTanh = (x: Term): Term => {
  const root = Math.sqrt(2 / Math.PI)
  const sum = call('add', [x, times(cube(x), 0.044715)])
  const taken = plus(times(square(x), 0.044715), 1)
  return plus(call('tanh', [oneOf(times(sum, root), times(call('mul', [x, taken]), root), call('mul', [times(x, root), taken]))]), 1)
}
/** x f(x) / 2, in all orders of its factors. */
const halfOf = (f: Term): Term =>
  oneOf(times(call('mul', ['x', f]), 0.5), call('mul', ['x', times(f, 0.5)]), call('mul', [times('x', 0.5), f]))

/** A function of each element that exporters write out, and how they do. */
interface Spelling {
  readonly op: string
  readonly arguments?: ModelLayer['arguments']
  readonly from: Term
  readonly ops: readonly string[]
}

const SPELLINGS: readonly Spelling[] = [
  { op: 'clip', arguments: { lo: 0, hi: 6 }, ops: ['min', 'max'], from: clipped('x', 0, 6) },
  { op: 'relu', ops: ['max'], from: call('max', ['x', number(0)]) },
  // Alpha 1/6 is the language's own, but the float32 next to it is no 1/6.
  {
    op: 'hard_sigmoid',
    ops: ['hard_sigmoid', 'mul', 'div', 'clip', 'min', 'max'],
    from: oneOf(
      call('hard_sigmoid', ['x'], { where: (a) => ('alpha' in a || 'beta' in a) && isSixth(a) }),
      times(reluSix('x'), 1 / 6),
      clipped(plus(times('x', 1 / 6), 0.5), 0, 1),
    ),
  },
  // PyTorch has HardSwish from opset 14 on; others write it out.
  {
    op: 'hard_swish',
    ops: ['mul', 'div'],
    from: oneOf(
      call('mul', ['x', hardSigmoid('x')]),
      times(call('mul', ['x', reluSix('x')]), 1 / 6),
      call('mul', ['x', times(reluSix('x'), 1 / 6)]),
      call('mul', [times('x', 1 / 6), reluSix('x')]),
    ),
  },
  // Operators of their own from opset 24 (Swish), 18 (Mish) and 20 (Gelu) on.
  { op: 'silu', ops: ['mul'], from: call('mul', ['x', call('sigmoid', ['x'])]) },
  { op: 'mish', ops: ['mul'], from: call('mul', ['x', call('tanh', [call('softplus', ['x'])])]) },
  { op: 'gelu', ops: ['mul', 'div'], from: halfOf(twiceNormal('x')) },
  { op: 'gelu', arguments: { approximate: 'tanh' }, ops: ['mul', 'div'], from: halfOf(twiceTanh('x')) },
  { op: 'softsign', ops: ['div'], from: call('div', ['x', plus(call('abs', ['x']), 1)]) },
]

/** Functions of each element that an opset has no operator for: exporters write them out in arithmetic, a person writes their name. */
export const activations: Pattern = {
  name: 'activations',
  ops: [...new Set(SPELLINGS.flatMap(({ ops }) => ops))],
  rewrite: (graph, layer) => {
    for (const { op, arguments: arguments_ = {}, from, ops } of SPELLINGS) {
      const found = ops.includes(layer.op) ? match(graph, layer, from) : undefined
      if (!found) continue
      const name = layer.name === undefined ? {} : { name: layer.name }
      const by: ModelLayer = {
        op,
        ...name,
        inputs: [found.values.get('x')!],
        arguments: arguments_,
        output: layer.output,
        from: nodesOf(found.covered),
      }
      graph.replace(layer, [by], found.covered)
      return true
    }
    return false
  },
}
