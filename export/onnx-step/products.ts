import type { Axis } from '../../compiler/ir/affine.ts'
import type { StepNodes } from './step-nodes.ts'
import { aligned, countOf, reshapeTo, type Scope, type Written } from './written.ts'

type Factors = readonly [Written, Written]

/** Whether a sum of products over some axes is one of matrices: each factor has axes that the other lacks, and both have all that are summed. */
export function isProduct([a, b]: Factors, summed: readonly Axis[]): boolean {
  const own = (of: Written, other: Written): boolean => of.axes.some((axis) => !other.axes.includes(axis))
  return own(a, b) && own(b, a) && summed.every((axis) => a.axes.includes(axis) && b.axes.includes(axis))
}

/** The sum of a b over axes, as a product of matrices: rows are what a alone has, columns what b alone has; what both keep counts matrices. */
export function writeProduct(nodes: StepNodes, factors: Factors, summed: readonly Axis[], scope: Scope): Written {
  const [first] = scope.sorted(factors.flatMap(({ axes }) => axes.filter((axis) => !factors.every((factor) => factor.axes.includes(axis)))))
  // Rows come first where the equation has them first.
  const [a, b] = factors[0].axes.includes(first!) ? factors : [factors[1], factors[0]]
  const inner = a.axes.filter((axis) => summed.includes(axis))
  const kept = a.axes.filter((axis) => b.axes.includes(axis) && !summed.includes(axis))
  const rows = a.axes.filter((axis) => !b.axes.includes(axis))
  const columns = b.axes.filter((axis) => !a.axes.includes(axis))
  const made = kept.length > 0
    ? nodes.add('MatMul', [matrix(nodes, a, [kept, rows, inner]), matrix(nodes, b, [kept, inner, columns])])
    : gemm(nodes, a, b, { rows, inner, columns })
  const axes = [...kept, ...rows, ...columns]
  const isPlain = (kept.length === 0 ? 2 : 3) === axes.length && rows.length === 1 && columns.length === 1
  return { name: isPlain ? made : nodes.reshape(made, reshapeTo(axes)), axes }
}

/** A value as matrices: its axes in the order of the parts, each part one dimension. A part without axes is none, unless it is of a matrix. */
function matrix(nodes: StepNodes, of: Written, parts: readonly (readonly Axis[])[]): string {
  const order = parts.flat()
  const turned = nodes.transpose(aligned(nodes, of, of.axes), order.map((axis) => of.axes.indexOf(axis)))
  if (parts.every((part) => part.length === 1)) return turned
  return nodes.reshape(turned, parts.map((part) => (part.some(({ extent }) => typeof extent !== 'number') ? -1 : countOf(part))))
}

interface Parts {
  readonly rows: readonly Axis[]
  readonly inner: readonly Axis[]
  readonly columns: readonly Axis[]
}

/** Gemm takes a matrix that lies the other way round. */
function gemm(nodes: StepNodes, a: Written, b: Written, { rows, inner, columns }: Parts): string {
  const begins = (of: Written, part: readonly Axis[]): boolean => part.every((axis, d) => of.axes[d] === axis)
  const [turnedA, turnedB] = [begins(a, [...inner, ...rows]), begins(b, [...columns, ...inner])]
  return nodes.add('Gemm', [
    matrix(nodes, a, turnedA ? [inner, rows] : [rows, inner]),
    matrix(nodes, b, turnedB ? [columns, inner] : [inner, columns]),
  ], { ...(turnedA && { transA: 1 }), ...(turnedB && { transB: 1 }) })
}
