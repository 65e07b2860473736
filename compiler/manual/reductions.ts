import type { Group, ManualPage } from './page.ts'

const shape = 'x [n, ...] -> y: 1 in the places of `axes`, or with keep: false without them'
const example = (call: string): readonly string[] => ['input x: f32[8, 16, 16]', `output y = x -> ${call}`]
const all = ['reduce_mean', 'reduce_sum', 'reduce_max', 'reduce_min', 'reduce_l1', 'reduce_l2']

/** The page of a reduction; others are named beside it. */
const page = (name: string, formula: string, gradient: string, call: string, ...see: readonly string[]): ManualPage => ({
  shape,
  formula: [`y = ${formula}, over the elements along the axes`],
  gradient: [gradient],
  example: example(call),
  see: [...all.filter((other) => other !== name), ...see],
})

export const reductions: Group = {
  title: 'Reductions',
  file: 'reductions',
  intro:
    'Layers that make one number of several along axes of each sample. Axis 0 is the batch, axis 1 the channels; negative axes count from the end. The batch itself is never reduced, a loss or metric does that.',
  pages: {
    reduce_mean: page('reduce_mean', 'the mean of x', 'dx = dy / their number', 'reduce_mean([2, 3])', 'global_avg_pool'),
    reduce_sum: page('reduce_sum', 'the sum of x', 'dx = dy', 'reduce_sum([1], keep: false)', 'sum'),
    reduce_max: page(
      'reduce_max',
      'the largest x',
      'dx = dy for the first largest in row order, 0 for the others',
      'reduce_max([-1])',
      'global_max_pool',
      'arg_max',
    ),
    reduce_min: page('reduce_min', 'the smallest x', 'dx = dy for the first smallest in row order, 0 for the others', 'reduce_min([1])'),
    reduce_l1: page('reduce_l1', 'the sum of |x|', 'dx = dy sign(x)', 'reduce_l1([1, 2, 3], keep: false)'),
    reduce_l2: page('reduce_l2', 'sqrt(the sum of x^2)', 'dx = dy x / y, and 0 where y is 0', 'reduce_l2([1])'),
    arg_max: {
      shape: 'x [n, ..., A, ...] -> y: 1 in place of A, or with keep: false without it',
      formula: ['y = the position 0..A-1 of the largest x along the axis, as a number; of equal ones the first, with last: true the last'],
      example: ['input image: f32[3, 16, 16]', 'output map = image -> conv(5, 3, pad: 1) -> arg_max'],
      notes: ['It has no gradient: a loss cannot be taken of it.'],
      see: ['reduce_max', 'softmax'],
    },
  },
}
