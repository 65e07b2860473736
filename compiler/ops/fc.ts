import type { Node } from '../graph/graph.ts'
import { add, guard, load, mul, sum, within } from '../ir/expression.ts'
import { type Axis, axis, type Index, index, type IndexLike, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { type Shape, tensor } from '../ir/tensor.ts'
import { labelProblems } from './diagnostics.ts'
import { linearGradients } from './gradients.ts'
import type { Operator } from './operator.ts'
import { biasParameter, fillerProblems, weightAndBias, weightParameters } from './shared-parameters.ts'

/*
 * The inner product reads its input as it lies there, [n, ...]: the weight's index counts through all but the batch, so
 * flattening costs nothing.
 */

const layersOf = (node: Node): readonly string[] => [node.layer, ...(node.absorbed ?? [])]
const isTransposed = (node: Node): boolean => node.attributes['transpose'] === true

/** One axis for every dimension but the first, and the position within a sample that they count. */
function features(shape: Shape): { axes: readonly Axis[]; position: Index } {
  const names = shape.length === 4 ? ['c', 'h', 'w'] : shape.length === 2 ? ['i'] : []
  const axes = shape.slice(1).map((extent, d) => axis(names[d] ?? `d${d + 1}`, extent))
  const position = axes.reduce<Index>((before, a) => plus(times(before, a.extent as number), a), index(0))
  return { axes, position }
}

const inputsOf = (shape: Shape): number => shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1)

/** Weight [out, in], or [in, out] if transposed. */
const weightAt = (node: Node, o: IndexLike, i: IndexLike): readonly IndexLike[] => (isTransposed(node) ? [i, o] : [o, i])

/**
 * y[n, o] = bias[o] + sum over i of x[n, i] weight[o, i]; x [n, ...] counts as [n, I], weight [O, I], bias [O].
 * `transpose: true`: weight [I, O]. Diagnostics: argument/bilinear, argument/uniform, shape/label-as-numbers.
 */
const fc: Operator = {
  name: 'fc',
  signature: {
    name: 'fc',
    parameters: [
      { name: 'out', type: { kind: 'integer', min: 1 }, doc: 'how many numbers a sample has behind it' },
      biasParameter,
      { name: 'transpose', type: { kind: 'boolean' }, default: false, named: true, doc: 'the weight lies as [in, out]' },
      ...weightParameters,
    ],
    doc: 'inner product with all numbers of a sample; weight [out, in]',
  },
  traits: { linear: { weightLayout: ({ transpose }) => (transpose === true ? 'iohw' : 'oihw'), foldsInput: () => true } },
  shape: (q) => {
    const problems = [...labelProblems(q), ...fillerProblems(q)]
    if (problems.length > 0) return problems
    const { shape } = q.inputs[0]!
    const out = q.attributes['out'] as number
    const inputs = inputsOf(shape)
    return {
      shape: [shape[0]!, out],
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
    const [n, o] = [axis('n', y.shape[0]!), axis('o', y.shape[1]!)]
    const { axes, position } = features(x.shape)
    const total = sum(axes, mul(load(x, n, ...axes), load(weight!, ...weightAt(node, o, position))))
    return [equation(node.name, layersOf(node), [n, o], [store(y, [n, o], bias ? add(total, load(bias, o)) : total)])]
  },
  gradient: (node, dy, build) =>
    linearGradients(node, dy, build, {
      dx: 'fc_dx',
      dweight: { op: 'fc_dweight', inputs: [node.inputs[0]!, dy] },
      attributes: isTransposed(node) ? { transpose: true } : {},
    }),
}

/** dx[n, i] = sum over o of dy[n, o] weight[o, i]. Input: dy. */
const fcDx: Operator = {
  name: 'fc_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    const dx = node.outputs[0]!
    const [n, o] = [axis('n', dx.shape[0]!), axis('o', dy.shape[1]!)]
    const { axes, position } = features(dx.shape)
    const total = sum([o], mul(load(dy, n, o), load(node.parameters['weight']!, ...weightAt(node, o, position))))
    return [equation(node.name, layersOf(node), [n, ...axes], [store(dx, [n, ...axes], total)])]
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
    const o = axis('o', dy!.shape[1]!)
    const { axes, position } = features(x!.shape)
    const place = weightAt(node, o, position)
    const chunks = typeof batch === 'number' ? 1
      : Math.min(MOST_CHUNKS, Math.max(1, Math.floor(WANTED_POINTS / inputsOf([1, ...out.shape]))))
    if (chunks === 1) {
      const n = axis('n', batch)
      const total = sum([n], mul(load(x!, n, ...axes), load(dy!, n, o)))
      return [equation(node.name, layersOf(node), [o, ...axes], [store(out, place, total)])]
    }
    const chunk = axis('chunk', chunks)
    const round = axis('round', { chunks })
    const image = plus(chunk, times(round, chunks))
    const there = [within(image, batch)]
    const partials = tensor(`${node.name}.partials`, [chunks, ...out.shape])
    const total = sum([round], mul(guard(there, load(x!, image, ...axes)), guard(there, load(dy!, image, o))))
    const part = axis('chunk', chunks)
    const at = out.shape.map((extent, d) => axis('oi'[isTransposed(node) ? 1 - d : d]!, extent))
    return [
      equation(`${node.name}.partial`, layersOf(node), [chunk, o, ...axes], [store(partials, [chunk, ...place], total)]),
      equation(node.name, layersOf(node), at, [store(out, at, sum([part], load(partials, part, ...at)))]),
    ]
  },
}

export const fcOperators: readonly Operator[] = [fc, fcDx, fcDweight]
