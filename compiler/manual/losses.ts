import type { Group } from './page.ts'

const head = ['input x: f32[64]', 'input label: class[10]', 'scores = x -> fc(10)', 'output prob = softmax(scores)']
const targets = ['input x: f32[64]', 'input target: f32[4]', 'output y = x -> fc(4)']

export const losses: Group = {
  title: 'Losses and metrics',
  file: 'losses',
  intro:
    'A loss is one number, written `loss = ...` or `loss NAME = ...`; several are added up, each times its `weight`. A metric is any number that is watched: `metric NAME = ...`. N is the batch. How they are put together over a data set: [Losses of a data set](../losses.md).',
  pages: {
    softmax_loss: {
      shape: 'scores [n, C, ...], label class [n, ...] -> one number',
      formula: [
        'loss = sum over labels that are not ignored of -log(softmax(x)[label]) / D',
        'D: valid: their number, at least 1; full: that of all labels; batch_size: N; none: 1',
      ],
      gradient: ['dx[c] = (softmax(x)[c] - (1 where c is the label)) / D; 0 where the label is ignored'],
      example: [...head, 'loss = softmax_loss(scores, label, ignore: 9)'],
      notes: [
        'A label a sample, or one a position: scores `[n, C, H, W]` go with `class[C][H, W]`.',
        'It takes scores: a `softmax` in front of it would be a second one, and is warned of; so are more scores than classes.',
        "A class k whose labels count w times is a second loss: `loss = softmax_loss(scores, label, normalization: full, weight: w)` and `loss rest = softmax_loss(scores, label, ignore: k, normalization: full, weight: 1 - w)`. It divides by the number of labels, where PyTorch's weights divide by their sum.",
      ],
      see: ['softmax', 'accuracy', 'hinge_loss'],
    },
    sigmoid_loss: {
      shape: 'scores [n, ...], target f32 of the same shape -> one number',
      formula: [
        'loss = sum of -(t log(s) + (1 - t) log(1 - s)) / D, s = 1 / (1 + exp(-x))',
        'D: batch_size: N; full: the number of elements; valid: that of those that are not ignored; none: 1',
      ],
      gradient: ['dx = (s - t) / D;   dt = -x / D'],
      absent: { ignore: 'all count' },
      example: [...targets, 'loss = sigmoid_loss(y, target, normalization: full)'],
      notes: [
        "Targets lie between 0 and 1: for labels that do not exclude each other. PyTorch's mean over all elements is `normalization: full`.",
      ],
      see: ['sigmoid', 'softmax_loss'],
    },
    squared_loss: {
      shape: 'x [n, ...], target f32 of the same shape -> one number',
      formula: ['loss = sum of (x - t)^2 / (2 N)'],
      gradient: ['dx = (x - t) / N;   dt = (t - x) / N'],
      example: [...targets, 'loss = squared_loss(y, target, weight: 2 / 4)'],
      notes: ["Caffe's EuclideanLoss. The mean over all D numbers of a sample, which others call mse, is `weight: 2 / D`."],
      see: ['sigmoid_loss', 'sum'],
    },
    hinge_loss: {
      shape: 'scores [n, C], label class [n] -> one number',
      formula: ['loss = sum over samples and classes of max(0, 1 + side x)^norm / N, side = -1 for the label, 1 for other classes'],
      gradient: ['norm 1: dx = side / N where the margin is missed; norm 2: dx = 2 max(0, 1 + side x) side / N'],
      example: [...head, 'loss = hinge_loss(scores, label, norm: 2)'],
      see: ['softmax_loss'],
    },
    sum: {
      shape: 'x [n, ...] -> one number',
      formula: ['loss = sum of x over all samples and elements'],
      gradient: ['dx = 1'],
      example: [...targets, 'd = add(y, target, coeff: [1, -1])', 'loss = sum(max(d, add(d, d, coeff: [-1, 0])), weight: 0.01)'],
      notes: ['For losses of your own: whatever layers make, added up. As a metric it is the sum over a data set.'],
      see: ['squared_loss', 'add'],
    },
    accuracy: {
      shape: 'scores [n, C, ...], label class [n, ...] -> one number',
      formula: ['labels of which at most top - 1 other classes score at least as much / labels that are not ignored'],
      example: [...head, 'loss = softmax_loss(scores, label)', 'metric top3 = accuracy(scores, label, top: 3)'],
      notes: ['A tie counts against you, as in Caffe: a net that says the same of all classes is never right.'],
      see: ['softmax_loss'],
    },
  },
}
