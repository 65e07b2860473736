import type { Group } from './page.ts'

export const joining: Group = {
  title: 'Joining and shape',
  file: 'joining',
  intro:
    'Several values become one, or one is seen under another shape. Axis 0 is the batch, axis 1 the channels; negative axes count from the end.',
  pages: {
    concat: {
      shape: 'one or more [n, ..., A_i, ...] -> [n, ..., sum of A_i, ...]; all other dimensions are equal',
      formula: ['y = a, then b, ... along the axis'],
      gradient: ['da = the part of dy that a became'],
      example: ['input x: f32[8, 16, 16]', 'output y = concat(x, x -> conv(12, 3, pad: 1))'],
      see: ['slice', 'add'],
    },
    slice: {
      shape: 'x [n, ..., A, ...] -> [n, ..., to - from, ...]',
      formula: ['y = x[from .. to - 1] along the axis'],
      gradient: ['dx = dy where it was taken, 0 elsewhere'],
      absent: { to: 'all that follow' },
      example: ['input x: f32[8, 16, 16]', 'output y = concat(slice(x, 1, 4, 8), slice(x, 1, 0, 4))'],
      see: ['concat', 'pad'],
    },
    flatten: {
      shape: 'x [n, A, B, ...] -> [n, A B ...]',
      formula: ['the same numbers; nothing is moved'],
      gradient: ['dx = dy under the shape of x'],
      example: ['input x: f32[8, 4, 4]', 'input label: class[128]', 'output y = x -> flatten', 'loss = softmax_loss(y, label)'],
      see: ['reshape', 'fc'],
    },
    reshape: {
      shape: 'x [n, ...] -> [n, dims]; the batch is not written',
      formula: ['the same numbers in row order; nothing is moved'],
      gradient: ['dx = dy under the shape of x'],
      example: ['input x: f32[64]', 'output y = x -> reshape([4, 4, -1]) -> conv(8, 3)'],
      see: ['flatten', 'transpose'],
    },
    transpose: {
      shape: 'x [n, A, B, C] -> [n, B, C, A] for the order [0, 2, 3, 1]',
      formula: ['axis d of y is axis order[d] of x; 0, the batch, stays the first'],
      gradient: ['dx = dy in the order that undoes it'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> transpose([0, 2, 3, 1]) -> reshape([64, 32])'],
      notes: [
        'Several in a row are one, and none where they undo each other. Where only axes of one element move nothing is copied.',
        'It is fused with what is computed element by element around it.',
      ],
      see: ['reshape', 'flatten'],
    },
    dropout: {
      shape: 'x [n, ...] -> y of the same shape',
      formula: ['in training: y = 0 with probability p, else x / (1 - p)', 'elsewhere: y = x'],
      gradient: ['dx = 0 where y was dropped, else dy / (1 - p)'],
      absent: { mask: 'chance decides, anew in every step' },
      example: ['input x: f32[64]', 'output y = x -> fc(300) -> relu -> dropout(0.5) -> fc(10)'],
      notes: ['What is dropped follows from the seed, the step, the name of the layer and the position: the same on every device.'],
      see: ['fc'],
    },
    softmax: {
      shape: 'x [n, C, ...] -> y of the same shape',
      formula: ['y[c] = exp(x[c]) / sum over k of exp(x[k]); the largest x is subtracted first; c and k run along `axis`'],
      gradient: ['dx = y (dy - sum over k of dy[k] y[k])'],
      absent: { end: '`axis` alone' },
      example: ['input x: f32[64]', 'output prob = x -> fc(10) -> softmax', 'output rows = x -> reshape([8, 8]) -> softmax(axis: -1)'],
      notes: [
        'A loss takes the scores in front of it: `softmax_loss(scores, label)`.',
        '`softmax(axis: 1, end: -1)` makes one whole of all values of a sample, as Darknet does of a map.',
      ],
      see: ['softmax_loss', 'log_softmax'],
    },
    log_softmax: {
      shape: 'x [n, C, ...] -> y of the same shape',
      formula: ['y[c] = x[c] - log(sum over k of exp(x[k])); the largest x is subtracted first'],
      gradient: ['dx = dy - exp(y) * sum over k of dy[k]'],
      absent: { end: '`axis` alone' },
      example: ['input x: f32[64]', 'output y = x -> fc(10) -> log_softmax'],
      see: ['softmax', 'softmax_loss'],
    },
  },
}
