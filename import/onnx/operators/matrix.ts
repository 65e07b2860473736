import { elementCount } from '../../../bundle/sizes.ts'
import { showDimensions } from '../dimension.ts'
import type { Numbers } from '../tensor-data.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, lazyConstant, parameterOf, rankOf, shapeOf, transposed } from '../value.ts'
import { broadcastShape } from './arithmetic.ts'
import { productOf } from './contraction.ts'
import { alignedTo, broadcastDims, operandOf } from './operand.ts'
import type { OnnxOperator } from './operator.ts'
import { repeating, reshaped } from './rearrange.ts'

const timesNumber = (by: number) => (values: Numbers): Numbers => (by === 1 ? values : values.map((v) => v * by))

/** alpha x W + beta C: fc, where W is a constant. x is [n, features], or without a batch any matrix. */
function gemm(node: OnnxNode): void {
  const given = node.tensor(0)
  if (rankOf(given) !== 2) node.refuse(`its first input is ${showDimensions(shapeOf(given))}, and should be [n, features]`)
  const turn = node.int('transA', 0) !== 0
  if (turn && !given.bare) node.refuse('it transposes its first input, and so the batch with the features')
  const x = turn ? node.emit('transpose', [given], { order: [0, 2, 1] }, given.dims.toReversed(), { main: false }) : given
  const b = node.constant(1, 'the weight')
  if (b.shape.length !== 2) node.refuse(`its weight is ${showDimensions(b.shape)}`)
  const turned = node.int('transB', 0) !== 0
  const [out, features] = (turned ? b.shape : [b.shape[1]!, b.shape[0]!]) as [number, number]
  if (features !== x.dims.at(-1)) node.refuse(`its weight wants ${features} features, and there are ${x.dims.at(-1)}`)
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)]
  const lie = turned ? (values: Numbers) => values : transposed(features, out)
  const more = node.has(2) && beta !== 0 ? node.value(2) : undefined
  const bias = more?.kind === 'constant' ? rowOf(more, out) : undefined
  const dims = [...x.dims.slice(0, -1), out]
  const rest = bias ? undefined : more
  const y = node.emit('fc', [x], { out, bias: bias !== undefined, ...(x.dims.length > 1 && { axis: -1 }) }, dims, {
    parameters: {
      weight: parameterOf(b, [out, features], (values) => timesNumber(alpha)(lie(values))),
      ...(bias && { bias: parameterOf(bias, [out], timesNumber(beta)) }),
    },
    main: !rest,
  })
  if (!rest) return node.give(y)
  const what = rest.kind === 'tensor' ? rest : operandOf(node, rest, y)
  const scaled = beta === 1 ? what : typeof what === 'number' ? what * beta : node.emit('mul', [what, beta], {}, what.dims, { main: false })
  const sizes = typeof scaled === 'number' ? [dims] : [dims, scaled.bare ? alignedTo(scaled.dims, dims.length) : scaled.dims]
  node.give(node.emit('add', [y, scaled], {}, broadcastDims(node, sizes)))
}

/** A constant that is the same for every row, as `out` numbers; undefined where it is not. */
function rowOf(c: Constant, out: number): Constant | undefined {
  const count = elementCount(c.shape)
  if (count === out && (c.shape.at(-1) ?? 1) === out) return c
  return count === 1 ? lazyConstant(c, [out], () => new Float32Array(out).fill(c.values()[0]!)) : undefined
}

/** Rows of x times a constant matrix: fc on the last axis. All other products of matrices are sums of products, as those of attention. */
function matMul(node: OnnxNode): void {
  const [first, b] = [node.value(0), node.value(1)]
  const x = first.kind === 'tensor' ? first : node.tensor(1)
  for (const c of [first, b])
    if (c.kind === 'constant' && c.shape.length < 2)
      return node.refuse(`one operand is ${showDimensions(c.shape)}`, 'give it two axes in the model')
  if (first.kind === 'constant' || b.kind === 'tensor' || b.shape.slice(0, -2).some((dim) => dim !== 1))
    return node.give(productOf(node, first, b))
  const [features, out] = b.shape.slice(-2) as [number, number]
  if (features !== x.dims.at(-1)) return node.refuse(`its matrix wants ${features} features, and there are ${x.dims.at(-1)}`)
  node.give(
    node.emit('fc', [x], { out, bias: false, ...(x.dims.length > 1 && { axis: -1 }) }, [...x.dims.slice(0, -1), out], {
      parameters: { weight: parameterOf(b, [out, features], transposed(features, out)) },
    }),
  )
}

/** The most products that constants are multiplied with here. */
const MOST_PRODUCTS = 2 ** 30

/** Matrices [rows, inner] times [inner, columns], one for each of the axes in front, which are broadcast. Sums are made in float64. */
function product(node: OnnxNode, a: Constant, b: Constant): Constant {
  const [rows, inner] = a.shape.slice(-2) as [number, number]
  const columns = b.shape.at(-1)!
  if (b.shape.at(-2) !== inner) return node.refuse(`${showDimensions(a.shape)} times ${showDimensions(b.shape)}`)
  const [before, behind] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
  const many = broadcastShape(node, before, behind)
  const shape = [...many, rows, columns]
  if (elementCount(shape) > node.net.mostFolded || elementCount(shape) * inner > MOST_PRODUCTS)
    return node.refuse('a product of constants that is too large to be computed here')
  const [matrixOfA, matrixOfB] = [repeating(before, many), repeating(behind, many)]
  return {
    ...lazyConstant(a, shape, () => {
      const [left, right] = [a.values(), b.values()]
      return Float32Array.from({ length: elementCount(shape) }, (_, at) => {
        const [matrix, row, column] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns]
        const [fromA, fromB] = [(matrixOfA(matrix) * rows + row) * inner, matrixOfB(matrix) * inner * columns + column]
        let sum = 0
        for (let k = 0; k < inner; k++) sum += left[fromA + k]! * right[fromB + k * columns]!
        return sum
      })
    }),
    learned: a.learned || b.learned,
  }
}

/** A product of constants, as NumPy's `matmul`: a vector is a row on the left and a column on the right, and its axis goes again. */
function foldMatMul(node: OnnxNode): void {
  const [a, b] = [node.constant(0, ''), node.constant(1, '')]
  if (a.shape.length === 0 || b.shape.length === 0) return node.refuse('a product with a single number')
  const [row, column] = [a.shape.length === 1, b.shape.length === 1]
  const c = product(node, row ? reshaped(a, [1, ...a.shape]) : a, column ? reshaped(b, [...b.shape, 1]) : b)
  const last = c.shape.length - 1
  node.give(reshaped(c, c.shape.filter((_, d) => !(row && d === last - 1) && !(column && d === last))))
}

export const matrixOperators: readonly OnnxOperator[] = [
  { op: 'Gemm', map: gemm },
  { op: 'MatMul', map: matMul, fold: foldMatMul },
]
