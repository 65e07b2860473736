import { activationOperators } from './activation.ts'
import { arithmeticOperators } from './arithmetic.ts'
import { comparisonOperators } from './comparison.ts'
import { constantOperators } from './constants.ts'
import { contractionOperators } from './contraction.ts'
import { convolutionOperators } from './convolution.ts'
import { matrixOperators } from './matrix.ts'
import { normalizationOperators } from './normalization.ts'
import type { OnnxOperator } from './operator.ts'
import { concatOperators } from './concat.ts'
import { orderedOperators } from './ordered.ts'
import { paddingOperators } from './padding.ts'
import { poolingOperators } from './pooling.ts'
import { quantizationOperators } from './quantization.ts'
import { reductionOperators } from './reduction.ts'
import { resizeOperators } from './resize.ts'
import { shapeOperators } from './shape.ts'

/** Opsets of ONNX's own domain that are read. */
export const OPSETS = { first: 6, last: 26 } as const

/** Operators that mean the same since the first set, for the models that are left of it. */
const OLDER = new Set(
  'GlobalAveragePool GlobalMaxPool Not Softplus Softsign Conv MaxPool LRN Softmax LogSoftmax Flatten Transpose Squeeze Unsqueeze Slice Constant Identity'
    .split(' '),
)

/** Every operator that is read, by name; rows of one name in the order of `since`. */
const rows: readonly OnnxOperator[] = [
  ...convolutionOperators,
  ...matrixOperators,
  ...contractionOperators,
  ...poolingOperators,
  ...normalizationOperators,
  ...activationOperators,
  ...arithmeticOperators,
  ...comparisonOperators,
  ...shapeOperators,
  ...reductionOperators,
  ...orderedOperators,
  ...resizeOperators,
  ...paddingOperators,
  ...concatOperators,
  ...quantizationOperators,
  ...constantOperators,
]

export const onnxOperators: ReadonlyMap<string, readonly OnnxOperator[]> = new Map(
  rows.map(({ op }) => [op, rows.filter((row) => row.op === op)]),
)

/** The row that holds in an opset. */
export function operatorIn(op: string, opset: number): OnnxOperator | undefined {
  return onnxOperators.get(op)?.findLast((row) => (row.since ?? (OLDER.has(op) ? 1 : OPSETS.first)) <= opset)
}
