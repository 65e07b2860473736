import type { Group, ManualPage } from './page.ts'

const shape =
  'two or more [n, ...] or numbers -> y; a dimension of 1 is repeated, and what has no batch may lack leading dimensions; one operand at least is no number'
const both = shape.replace('two or more', 'two')

/** Element by element. */
const each = (formula: string, gradient: string, example: string, more: Partial<ManualPage> = {}): ManualPage => ({
  shape: 'x [n, ...] -> y of the same shape',
  formula: [`y = ${formula}`],
  gradient: [`dx = ${gradient}`],
  example: ['input x: f32[8, 16, 16]', `output y = ${example}`],
  ...more,
})

const UNTOLD = 'WGSL does not say what that is, other devices do as IEEE does.'

/** What the page of a layer that changes in steps says of its gradient. */
const FLAT = 'What is in front of it learns by other ways alone, as `sub(x, floor(x))` has one.'

export const arithmetic: Group = {
  title: 'Arithmetic',
  file: 'arithmetic',
  intro:
    'Sums, products and the like of tensors and numbers, and functions of each element. `add(x, 1)`, `x -> mul(0.5)` and `sub(1, x)` have numbers among their operands. They are fused into their neighbours.',
  pages: {
    add: {
      shape,
      formula: ['y = coeff[0] a + coeff[1] b + ...'],
      gradient: ['da = coeff[0] dy, summed over what was repeated'],
      absent: { coeff: '1 for each' },
      example: ['input x: f32[8, 16, 16]', 'main = x -> conv(8, 3, pad: 1, bias: false) -> batch_norm', 'output y = add(main, x) -> relu'],
      notes: ['`add(a, b, coeff: [0.5, 2])` weighs its operands. A sum behind a convolution or a normalization is fused with it.'],
      see: ['sub', 'mean', 'mul', 'concat'],
    },
    sub: {
      shape: both,
      formula: ['y = a - b'],
      gradient: ['da = dy, db = -dy, summed over what was repeated'],
      example: ['input x: f32[8, 16, 16]', 'gate = x -> conv(8, 1) -> sigmoid', 'output y = mul(sub(1, gate), x)'],
      see: ['add', 'neg'],
    },
    mul: {
      shape,
      formula: ['y = a b ...'],
      gradient: ['da = dy times the others, summed over what was repeated'],
      example: [
        'input x: f32[8, 16, 16]',
        'gate = x -> global_avg_pool -> fc(8) -> sigmoid -> reshape([8, 1, 1])',
        'output y = mul(x, gate)',
      ],
      see: ['add', 'div'],
    },
    div: {
      shape: both,
      formula: ['y = a / b'],
      gradient: ['da = dy / b, db = -dy y / b, summed over what was repeated'],
      example: ['input x: f32[8, 16, 16]', 'size = x -> abs -> global_max_pool -> add(1e-6)', 'output y = div(x, size)'],
      notes: [`Nothing guards against a b of 0: ${UNTOLD} Add a small number, or take \`max(b, 1e-6)\`.`],
      see: ['mul', 'reciprocal'],
    },
    mean: {
      shape,
      formula: ['y = (a + b + ...) / count'],
      gradient: ['da = dy / count, summed over what was repeated'],
      example: ['input x: f32[8, 16, 16]', 'output y = mean(x -> conv(8, 1), x -> conv(8, 3, pad: 1), x)'],
      notes: ['The mean of a map is `global_avg_pool`.'],
      see: ['add', 'global_avg_pool'],
    },
    max: {
      shape,
      formula: ['y = the largest of a, b, ...'],
      gradient: ['dy goes to the largest; of two equal ones to the second, of later ones only to what is strictly larger'],
      example: ['input x: f32[8, 16, 16]', 'output y = max(x -> conv(8, 1), x -> conv(8, 1))'],
      notes: ['A number that wins takes the gradient with it: `max(x, 0.1)` hands back 0 where x is 0.1 or less.'],
      see: ['min', 'clip', 'max_pool'],
    },
    min: {
      shape,
      formula: ['y = the smallest of a, b, ...'],
      gradient: ['dy goes to the smallest; of two equal ones to the second, of later ones only to what is strictly smaller'],
      example: ['input x: f32[8, 16, 16]', 'output y = min(x -> conv(8, 1), 6)'],
      see: ['max', 'clip'],
    },
    where: {
      shape: both.replace('two', 'a mask, and two').replace('; one operand at least is no number', ''),
      formula: ['y = a where mask is not 0, else b'],
      gradient: ['da = dy where mask is not 0, db = dy where it is 0, else 0, summed over what was repeated; none for the mask'],
      example: ['input x: f32[8, 16, 16]', 'output y = where(x -> relu, x -> max(1e-6) -> log, -10)'],
      notes: [
        'NaN or infinity of the side that is not taken does no harm. In training, guard what that side is made of too, as `max(x, 1e-6) -> log`: 0 times an infinite slope is NaN.',
      ],
      see: ['max', 'mul'],
    },
    parameter: {
      shape: '-> y [dims], without a batch',
      parameters: ['weight [dims]'],
      formula: ['y = weight'],
      gradient: ['dweight = dy, summed over the batch and over what was repeated by the layer that reads it'],
      absent: { init: '0', weights: 'parameters of its own' },
      example: [
        'input x: f32[8, 16, 16]',
        'places = parameter([8, 16, 16], init: gaussian(0.02)) as places',
        'gain = parameter([8, 1, 1], init: 1, lr_mult: 0)',
        'output y = mul(add(x, places), gain)',
      ],
      notes: ['With `lr_mult: 0` it is a constant, whose numbers come with the weights.'],
      see: ['scale', 'bias', 'add', 'mul'],
    },
    neg: each('-x', '-dy', 'x -> neg', { see: ['sub'] }),
    abs: each('|x|', 'dy where x > 0, -dy where x < 0, 0 where x = 0', 'x -> abs'),
    exp: each('exp(x)', 'dy y', 'x -> exp', { notes: ['Above 88.7 it is infinite.'], see: ['log', 'softmax'] }),
    log: each('log(x)', 'dy / x', 'x -> abs -> add(1) -> log', {
      notes: [`Of 0 and of negative x there is none: ${UNTOLD}`],
      see: ['exp', 'log_softmax'],
    }),
    sqrt: each('sqrt(x)', 'dy / (2 y)', 'x -> pow(2) -> add(1e-6) -> sqrt', {
      notes: [`At 0 the gradient is infinite, of negative x there is no root: ${UNTOLD}`],
      see: ['pow'],
    }),
    reciprocal: each('1 / x', '-dy y y', 'x -> abs -> add(1) -> reciprocal', { notes: [`Of 0 there is none: ${UNTOLD}`], see: ['div'] }),
    floor: each('the largest whole number <= x', '0', 'x -> mul(8) -> floor', { notes: [FLAT], see: ['ceil', 'round'] }),
    ceil: each('the smallest whole number >= x', '0', 'x -> mul(8) -> ceil', { notes: [FLAT], see: ['floor', 'round'] }),
    round: each('the nearest whole number, of two the even one', '0', 'x -> mul(8) -> round', { notes: [FLAT], see: ['floor', 'ceil'] }),
    pow: each('x ^ exponent', 'dy exponent x ^ (exponent - 1)', 'x -> pow(2) -> global_avg_pool', {
      notes: [
        'Exponents to 16 that are whole, or a half beside a whole number, are products and square roots, exact to rounding. A negative x has powers to whole exponents alone.',
        `A negative power of 0, and what has no value: ${UNTOLD}`,
      ],
      see: ['sqrt', 'exp', 'mul'],
    }),
  },
}
