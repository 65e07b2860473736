import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Node } from '../graph/graph.ts'
import { add, guard, load, mul, sum, within } from '../ir/expression.ts'
import { type Axis, axis, type Index, index, type IndexLike, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { inStages } from '../ir/in-stages.ts'
import { type Shape, tensor } from '../ir/tensor.ts'
import { axisProblem, batchAxisProblem, labelProblems } from './diagnostics.ts'
import { fromEnd, numberOf } from './elementwise.ts'
import { linearGradients } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { biasParameter, fillerProblems, weightAndBias, weightParameters } from './shared-parameters.ts'

/*
 * The inner product reads its input as it lies there, [n, ...]: the weight's index counts through all from `axis` on, so
 * flattening costs nothing. Axes in front of it stay: each of their points has an inner product of its own.
 */

const layersOf = (node: Node): readonly string[] => [node.layer, ...(node.absorbed ?? [])]
const isTransposed = (node: Node): boolean => node.attributes['transpose'] === true

/** The first axis that is joined, counted from the front. */
const fromOf = ({ attributes }: Pick<Node, 'attributes'>, rank: number): number => fromEnd(numberOf(attributes, 'axis', 1), rank)

/** One axis for every dimension from `from` on, and the position within a sample that they count. */
function features(shape: Shape, from: number): { axes: readonly Axis[]; position: Index } {
  const joined = shape.slice(from)
  const names = from > 1 ? [] : joined.length === 3 ? ['c', 'h', 'w'] : joined.length === 1 ? ['i'] : []
  const axes = joined.map((extent, d) => axis(names[d] ?? `d${d + from}`, extent))
  const position = axes.reduce<Index>((before, a) => plus(times(before, a.extent as number), a), index(0))
  return { axes, position }
}

/** One axis for every dimension in front. */
const kept = (shape: Shape, from: number): Axis[] => shape.slice(0, from).map((extent, d) => axis(d === 0 ? 'n' : `l${d}`, extent))

const inputsOf = (shape: Shape, from = 1): number => shape.slice(from).reduce<number>((product, dim) => product * (dim as number), 1)

/** Weight [out, in], or [in, out] if transposed. */
const weightAt = (node: Node, o: IndexLike, i: IndexLike): readonly IndexLike[] => (isTransposed(node) ? [i, o] : [o, i])

function axisProblems(q: ShapeQuestion): Diagnostic[] {
  const x = q.inputs[0]!
  const from = fromOf(q, x.shape.length)
  // [n] has no axis 1: each sample has one number.
  if (from === 1 && x.shape.length === 1) return []
  if (from < 0 || from >= x.shape.length) return [axisProblem(q, x)]
  return from === 0 ? [batchAxisProblem(q)] : []
}

/**
 * y[n, o] = bias[o] + sum over i of x[n, i] weight[o, i]; x [n, ...] counts as [n, I], weight [O, I], bias [O]. With `axis: 2`
 * y[n, l, o] of x [n, L, ...]. `transpose: true`: weight [I, O].
 * Diagnostics: argument/axis, argument/batch-axis, argument/bilinear, argument/uniform, shape/label-as-numbers.
 */
const fc: Operator = {
  name: 'fc',
  signature: {
    name: 'fc',
    parameters: [
      { name: 'out', type: { kind: 'integer', min: 1 }, doc: 'how many numbers a sample has behind it' },
      biasParameter,
      { name: 'transpose', type: { kind: 'boolean' }, default: false, named: true, doc: 'the weight lies as [in, out]' },
      { name: 'axis', type: { kind: 'integer' }, default: 1, named: true, doc: 'the first axis that is joined; those in front stay' },
      ...weightParameters,
    ],
    doc: 'inner product with all numbers of a sample, or of each point of its first axes; weight [out, in]',
  },
  traits: {
    linear: {
      weightLayout: ({ transpose }) => (transpose === true ? 'iohw' : 'oihw'),
      foldsInput: () => true,
      ofChannels: ({ inputs, attributes }) => fromOf({ attributes }, inputs[0]!.shape.length) === 1,
    },
  },
  shape: (q) => {
    const problems = [...labelProblems(q), ...axisProblems(q), ...fillerProblems(q)]
    if (problems.length > 0) return problems
    const { shape } = q.inputs[0]!
    const out = q.attributes['out'] as number
    const from = fromOf(q, shape.length)
    const inputs = inputsOf(shape, from)
    return {
      shape: [...shape.slice(0, from), out],
      parameters: weightAndBias(q, {
        weight: q.attributes['transpose'] === true ? [inputs, out] : [out, inputs],
        fanIn: inputs,
        fanOut: out,
        out,
      }),
    }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const y = node.outputs[0]!
    const { weight, bias } = node.parameters
    const from = fromOf(node, x.shape.length)
    const [before, o] = [kept(y.shape, from), axis('o', y.shape[from]!)]
    const { axes, position } = features(x.shape, from)
    const total = sum(axes, mul(load(x, ...before, ...axes), load(weight!, ...weightAt(node, o, position))))
    const at = [...before, o]
    return [equation(node.name, layersOf(node), at, [store(y, at, bias ? add(total, load(bias, o)) : total)])]
  },
  gradient: (node, dy, build) => {
    const from = fromOf(node, node.inputs[0]!.shape.length)
    return linearGradients(node, dy, build, {
      dx: 'fc_dx',
      dweight: { op: 'fc_dweight', inputs: [node.inputs[0]!, dy] },
      attributes: { ...(isTransposed(node) && { transpose: true }), ...(from > 1 && { axis: from }) },
      biasAxis: from,
    })
  },
}

/** dx[n, i] = sum over o of dy[n, o] weight[o, i]. Input: dy. */
const fcDx: Operator = {
  name: 'fc_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    const dx = node.outputs[0]!
    const from = fromOf(node, dx.shape.length)
    const [before, o] = [kept(dx.shape, from), axis('o', dy.shape[from]!)]
    const { axes, position } = features(dx.shape, from)
    const total = sum([o], mul(load(dy, ...before, o), load(node.parameters['weight']!, ...weightAt(node, o, position))))
    const at = [...before, ...axes]
    return [equation(node.name, layersOf(node), at, [store(dx, at, total)])]
  },
}

/** Chunks of the batch where the weight is small: so many points keep a device busy, so many chunks at most. */
const WANTED_POINTS = 65536
const MOST_CHUNKS = 16

/** dweight[o, i] = sum over n of x[n, i] dy[n, o], in chunks of the batch where the weight is small. Inputs: x, dy. */
const fcDweight: Operator = {
  name: 'fc_dweight',
  equations: (node): readonly Equation[] => {
    const [x, dy] = node.inputs
    const out = node.outputs[0]!
    const batch = dy!.shape[0]!
    const from = fromOf(node, x!.shape.length)
    const o = axis('o', dy!.shape[from]!)
    const { axes, position } = features(x!.shape, from)
    const [, ...before] = kept(x!.shape, from)
    const place = weightAt(node, o, position)
    const chunks = typeof batch === 'number' ? 1
      : Math.min(MOST_CHUNKS, Math.max(1, Math.floor(WANTED_POINTS / inputsOf([1, ...out.shape]))))
    const whole = (): Equation => {
      const n = axis('n', batch)
      const total = sum([n, ...before], mul(load(x!, n, ...before, ...axes), load(dy!, n, ...before, o)))
      return equation(node.name, layersOf(node), [o, ...axes], [store(out, place, total)])
    }
    if (chunks === 1) return [whole()]
    const chunk = axis('chunk', chunks)
    const round = axis('round', { chunks })
    const image = plus(chunk, times(round, chunks))
    const there = [within(image, batch)]
    const partials = tensor(`${node.name}.partials`, [chunks, ...out.shape])
    const factors = [load(x!, image, ...before, ...axes), load(dy!, image, ...before, o)] as const
    const total = sum([round, ...before], mul(guard(there, factors[0]), guard(there, factors[1])))
    const part = axis('chunk', chunks)
    const at = out.shape.map((extent, d) => axis('oi'[isTransposed(node) ? 1 - d : d]!, extent))
    return inStages([
      equation(`${node.name}.partial`, layersOf(node), [chunk, o, ...axes], [store(partials, [chunk, ...place], total)]),
      equation(node.name, layersOf(node), at, [store(out, at, sum([part], load(partials, part, ...at)))]),
    ], whole)
  },
}

export const fcOperators: readonly Operator[] = [fc, fcDx, fcDweight]
