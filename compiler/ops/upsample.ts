import type { Node } from '../graph/graph.ts'
import { abs, type Expression, guard, load, max, min, mul, position, sub, sum, within } from '../ir/expression.ts'
import { type Axis, axis, divide, type IndexLike, minus, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import { pointAxes, pointwise } from './elementwise.ts'
import { mapProblems, type Pair, pairOf } from './sliding-window.ts'

/*
 * Pixels are areas: the middle of a large pixel h lies at (h + 1/2) / f - 1/2 among the small ones (half-pixel centres, as
 * PyTorch and ONNX have it; corners are not aligned), and beyond the outermost middles the edge goes on. In units of
 * 1 / 2f, where all are integers: 2h + 1 - f.
 */

const factorOf = (node: Pick<Node, 'attributes'>): Pair => pairOf(node.attributes, 'factor', [1, 1])
const isBilinear = (node: Node): boolean => node.attributes['mode'] === 'bilinear'

/** How much small pixel `of` counts in large pixel `large`: 1 - their distance, of what is left of it. */
function weightOf(large: IndexLike, of: IndexLike, factor: number, size: number): Expression {
  const place = position(plus(times(large, 2), 1 - factor))
  const kept = min(max(place, 0), 2 * factor * (size - 1))
  return max(0, sub(1, mul(abs(sub(kept, position(times(of, 2 * factor)))), 1 / (2 * factor))))
}

/** y[n, c, h, w] = sum over the two rows and two columns around of x times their weights. */
function bilinear(node: Node): Equation {
  const x = node.inputs[0]!
  const y = node.outputs[0]!
  const factor = factorOf(node)
  const at = pointAxes(y.shape)
  const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
  const [height, width] = [x.shape[2] as number, x.shape[3] as number]
  const [below, right] = [axis('i', 2), axis('j', 2)]
  const row = plus(divide(plus(times(h, 2), 1 - factor[0]), 2 * factor[0]), below)
  const column = plus(divide(plus(times(w, 2), 1 - factor[1]), 2 * factor[1]), right)
  const weight = mul(weightOf(h, row, factor[0], height), weightOf(w, column, factor[1], width))
  const seen = guard([within(row, height), within(column, width)], load(x, n, c, row, column))
  return equation(node.name, [node.layer], at, [store(y, at, sum([below, right], mul(seen, weight)))])
}

/** x [n, C, H, W], y [n, C, H fh, W fw]. Diagnostics: shape/upsample-rank. */
const upsample: Operator = {
  name: 'upsample',
  signature: {
    name: 'upsample',
    parameters: [
      { name: 'factor', type: { kind: 'window', min: 1 }, doc: 'how many times as high and as wide' },
      {
        name: 'mode',
        type: { kind: 'word', words: ['nearest', 'bilinear'] },
        default: 'nearest',
        doc: 'repeated pixels, or a straight line between their middles',
      },
    ],
    doc: 'a larger map',
  },
  traits: {
    initSeesThrough: true,
    idle: (attributes) => (pairOf(attributes, 'factor', [2, 2]).every((factor) => factor === 1)
      ? [{ name: 'mode', by: 'factor', value: '1', why: 'the map stays as large as it is' }]
      : []),
  },
  shape: (q) => {
    const problems = mapProblems(q)
    if (problems.length > 0) return problems
    const { shape } = q.inputs[0]!
    const [down, along] = factorOf(q)
    return { shape: [shape[0]!, shape[1]!, (shape[2] as number) * down, (shape[3] as number) * along] }
  },
  equations: (node) => {
    if (isBilinear(node)) return [bilinear(node)]
    const [down, along] = factorOf(node)
    return [pointwise(node, ([n, c, h, w]) => load(node.inputs[0]!, n!, c!, divide(h!, down), divide(w!, along)))]
  },
  gradient: (node, dy, build) => firstInputGradient(node, build, { op: 'upsample_dx', inputs: [dy], attributes: node.attributes }),
}

/** dx = sum of dy over the f x f pixels made of it (nearest), or over the 2f x 2f around with its weight there. Input: dy. */
const upsampleDx: Operator = {
  name: 'upsample_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    const dx = node.outputs[0]!
    const factor = factorOf(node)
    const at = pointAxes(dx.shape)
    const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
    if (!isBilinear(node)) {
      const [i, j] = [axis('i', factor[0]), axis('j', factor[1])]
      return [equation(node.name, [node.layer], at, [
        store(dx, at, sum([i, j], load(dy, n, c, plus(times(h, factor[0]), i), plus(times(w, factor[1]), j)))),
      ])]
    }
    const [i, j] = [axis('i', 2 * factor[0]), axis('j', 2 * factor[1])]
    // The first large pixel less than one small pixel away.
    const first = (small: Axis, f: number): IndexLike => minus(times(small, f), Math.floor(f / 2))
    const row = plus(first(h, factor[0]), i)
    const column = plus(first(w, factor[1]), j)
    const weight = mul(weightOf(row, h, factor[0], dx.shape[2] as number), weightOf(column, w, factor[1], dx.shape[3] as number))
    const seen = guard([within(row, dy.shape[2]!), within(column, dy.shape[3]!)], load(dy, n, c, row, column))
    return [equation(node.name, [node.layer], at, [store(dx, at, sum([i, j], mul(seen, weight)))])]
  },
}

export const upsampleOperators: readonly Operator[] = [upsample, upsampleDx]
