import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Value } from '../graph/graph.ts'
import { type Shape, showShape } from '../ir/tensor.ts'
import type { ShapeQuestion } from './operator.ts'

/** A shape that does not fit: underlines the call, and shows where each value that takes part was made. */
export const shapeProblem = (q: ShapeQuestion, code: string, message: string, about: readonly Value[], hint?: string): Diagnostic => ({
  severity: 'error',
  code: `shape/${code}`,
  message,
  labels: [
    { span: q.span, text: 'here' },
    ...[...new Set(about)].map((v) => ({ span: v.madeAt, text: `${showShape(v.shape)} made here` })),
  ],
  ...(hint !== undefined && { hint }),
})

/** An argument that cannot be: underlines it, or the call where it was not written. */
export const argumentProblem = (q: ShapeQuestion, argument: string, code: string, message: string, hint?: string): Diagnostic => ({
  severity: 'error',
  code: `argument/${code}`,
  message,
  labels: [{ span: q.attributeSpans[argument] ?? q.span, text: 'here' }],
  ...(hint !== undefined && { hint }),
})

/** Labels are names of classes: arithmetic on them means nothing. Losses and metrics alone read them. */
export const labelProblems = (q: ShapeQuestion, values: readonly Value[] = q.inputs): Diagnostic[] =>
  values.filter((v) => v.type === 'i32').map((v) => ({
    severity: 'error',
    code: 'shape/label-as-numbers',
    message: `${q.op} computes with numbers, but ${v.name} holds labels`,
    labels: [{ span: q.span, text: 'here' }, { span: v.madeAt, text: `${showShape(v.shape)} labels made here` }],
    hint: `declare it as numbers, e.g. input ${v.name}: f32[...], or read it in a loss`,
  }))

/** The problem of a layer that works channel by channel and reads a value without a channel axis. */
export function channelProblems(q: ShapeQuestion): Diagnostic[] {
  const x = q.inputs[0]!
  if (x.shape.length >= 2) return []
  return [
    shapeProblem(
      q,
      `${q.op.replaceAll('_', '-')}-rank`,
      `${q.op} works on axis 1, the channels, and ${showShape(x.shape)} has none`,
      [x],
      'feed it a value of at least two dimensions, e.g. reshape([1])',
    ),
  ]
}

/** An attribute `axis` that names no axis of a value. */
export const axisProblem = (q: ShapeQuestion, x: Value): Diagnostic =>
  argumentProblem(
    q,
    'axis',
    'axis',
    `${showShape(x.shape)} has no axis ${q.attributes['axis']}`,
    axesThere(x.shape),
  )

/** The hint for an axis that is not there. */
export const axesThere = (shape: Shape): string =>
  shape.length === 0 ?
    'it is one number, of the whole batch where a loss made it; reduce_sum and reduce_mean keep the axes that they do not name'
    : `axes count from 0 to ${shape.length - 1}, or from -1 backwards`

/** An attribute `axis` that names the batch. */
export const batchAxisProblem = (q: ShapeQuestion): Diagnostic =>
  argumentProblem(
    q,
    'axis',
    'batch-axis',
    `${q.op} along axis 0 would change the batch, which is chosen when the net is opened`,
    'take another axis, or declare the inputs `whole`',
  )
