import { type Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for losses and metrics. See `layers.ts`.
 */

const meanOfSquares =
  'squared_loss is half the sum over a sample, averaged over samples: for the mean over all of its D numbers give it weight: 2 / D'
const logits = 'it takes scores: what stands in front of softmax'

export const lossesElsewhere: Synonyms = {
  softmax_loss: [
    { name: 'softmax_cross_entropy_with_logits', of: 'TensorFlow', note: 'labels are classes' },
    { name: 'sparse_softmax_cross_entropy_with_logits', of: 'TensorFlow' },
    { name: 'SoftmaxWithLoss', of: 'Caffe' },
    { name: 'SoftmaxCrossEntropy', of: 'others' },
    { name: 'softmax_cross_entropy', of: 'Chainer' },
    { name: 'CrossEntropyLoss', of: 'PyTorch', positions: ['class_weight'] },
    { name: 'cross_entropy', of: 'PyTorch', positions: ['class_weight'] },
    { name: 'categorical_crossentropy', of: 'Keras', note: `${logits}, and labels that are classes` },
    { name: 'sparse_categorical_crossentropy', of: 'Keras', arguments: { from_logits: () => ({}) }, note: logits },
    { name: 'nll_loss', of: 'PyTorch', note: 'it takes scores: what stands in front of log_softmax' },
    { name: 'NLLLoss', of: 'PyTorch', note: 'it takes scores: what stands in front of log_softmax' },
    { name: 'MultinomialLogisticLoss', of: 'Caffe', note: logits },
    { name: 'cost', of: 'Darknet' },
    { name: 'crossentropy', of: 'others', note: logits },
    { name: 'xent', of: 'others' },
    ...[
      'focal_loss',
      'ctc_loss',
      'CTCLoss',
      'triplet_loss',
      'TripletMarginLoss',
      'contrastive_loss',
      'ContrastiveLoss',
      'kl_div',
      'KLDivLoss',
      'InfogainLoss',
      'dice_loss',
    ].map((name) => ({
      name,
      of: 'PyTorch',
      none: `there is no ${name}: losses are softmax_loss, sigmoid_loss, squared_loss, hinge_loss, and sum of whatever layers make`,
    })),
  ],
  sigmoid_loss: [
    ...['sigmoid_cross_entropy', 'sigmoid_cross_entropy_with_logits', 'SigmoidCrossEntropy'].map((name) => ({
      name,
      of: 'TensorFlow',
      positions: [],
      defaults: { normalization: 'full' },
    })),
    { name: 'SigmoidCrossEntropyLoss', of: 'Caffe' },
    { name: 'BCEWithLogitsLoss', of: 'PyTorch', positions: [], defaults: { normalization: 'full' } },
    { name: 'binary_cross_entropy_with_logits', of: 'PyTorch', positions: [], defaults: { normalization: 'full' } },
    ...['BCELoss', 'bce', 'binary_crossentropy', 'binary_cross_entropy', 'bce_loss'].map((name) => ({
      name,
      of: name.includes('crossentropy') ? 'Keras' : 'PyTorch',
      positions: [],
      defaults: { normalization: 'full' },
      arguments: { from_logits: () => ({}) },
      note: 'it takes scores: what stands in front of sigmoid',
    })),
  ],
  squared_loss: [
    { name: 'EuclideanLoss', of: 'Caffe' },
    { name: 'euclidean', of: 'others' },
    { name: 'LinearRegressionOutput', of: 'MXNet' },
    ...['mse', 'MSELoss', 'mse_loss', 'mean_squared_error', 'MeanSquaredError'].map((name) => ({
      name,
      of: name === 'mse' || name.startsWith('mean') || name.startsWith('Mean') ? 'Keras' : 'PyTorch',
      arguments: { reduction: () => ({}) },
      note: meanOfSquares,
    })),
    ...['l2_loss', 'L2Loss', 'sse'].map((name) => ({ name, of: 'MXNet', note: meanOfSquares })),
    ...['l1_loss', 'L1Loss', 'mae', 'mean_absolute_error', 'MeanAbsoluteError', 'abs_loss'].map((name) => ({
      name,
      of: 'PyTorch',
      none:
        'the sum of absolute differences is written `sum(max(add(x, t, coeff: [1, -1]), add(x, t, coeff: [-1, 1])))`, with weight: 1 / (batch * numbers a sample) for the mean',
    })),
    ...['smooth_l1', 'SmoothL1Loss', 'smooth_l1_loss', 'huber', 'HuberLoss', 'huber_loss', 'log_cosh'].map((name) => ({
      name,
      of: 'PyTorch',
      none:
        `there is no ${name}: squared_loss, or the sum of absolute differences, \`sum(max(add(x, t, coeff: [1, -1]), add(x, t, coeff: [-1, 1])))\``,
    })),
  ],
  hinge_loss: [
    { name: 'HingeLoss', of: 'Caffe' },
    { name: 'hinge', of: 'Keras' },
    { name: 'MultiMarginLoss', of: 'PyTorch', note: 'every class has a margin of its own from 0 here' },
    { name: 'categorical_hinge', of: 'Keras', note: 'every class has a margin of its own from 0 here' },
    { name: 'squared_hinge', of: 'Keras', defaults: { norm: '2' } },
  ],
  accuracy: [
    { name: 'acc', of: 'Keras' },
    { name: 'categorical_accuracy', of: 'Keras' },
    { name: 'sparse_categorical_accuracy', of: 'Keras' },
    { name: 'top_k_accuracy', of: 'Keras' },
    { name: 'top_k_categorical_accuracy', of: 'Keras', defaults: { top: '5' } },
    { name: 'top5', of: 'others', defaults: { top: '5' } },
    { name: 'error', of: 'others', note: 'the error is 1 - accuracy' },
    {
      name: 'binary_accuracy',
      of: 'Keras',
      none: 'there is no metric binary_accuracy: accuracy(scores, label) counts the same of two scores, fc(2), and a label class[2]',
    },
    ...['precision', 'recall', 'f1', 'f1_score', 'auc', 'iou', 'confusion_matrix'].map((name) => ({
      name,
      of: 'Keras',
      none: `there is no metric ${name}: accuracy, or any layers that end in one number; fusenet eval --per-class counts by classes`,
    })),
  ],
}
