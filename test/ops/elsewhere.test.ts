import { describe, expect, test } from 'vitest'
import { operators } from '../../compiler/ops/registry.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { buildGraph } from '../../compiler/front-end/build-graph.ts'
import { loadProgram } from '../../dsl/index.ts'
import type { Signature, Synonym } from '../../dsl/signature.ts'

/* Names and conventions of Caffe, Keras, PyTorch, Darknet and ONNX as their own references have them: what stands on the right was worked out by hand. */

const inputs = 'input x: f32[3, 16, 16]\n  input v: f32[12]\n  input t: f32[12]\n  input label: class[12]\n'
const hintsOf = (text: string): string[] =>
  loadProgram({ file: 'test.net', text }, { vocabulary }).diagnostics.filter((d) => d.severity === 'error').map((d) => d.hint ?? '')
const hints = (line: string): string[] => hintsOf(`net test {\n  ${inputs}  ${line}\n}`)
const ofTraining = (line: string): string[] => hintsOf(`net test {\n  ${inputs}  loss = softmax_loss(v, label)\n}\ntrain { ${line} }`)

describe('layers by their own names, with arguments in the order of others', () => {
  test.each([
    ['h = x -> conv(3, 64, 3, 1, 1)', 'Conv2d (PyTorch) is `conv(64, 3, stride: 1, pad: 1)` here'],
    ['h = v -> fc(12, 10)', 'Linear (PyTorch) is `fc(10)` here'],
    ['h = v -> fc(10, "relu")', 'Dense (Keras) is `fc(10) -> relu` here'],
    ['h = x -> max_pool(2, 2, 0, 1)', 'MaxPool2d (PyTorch) is `max_pool(2, stride: 2, pad: 0, dilation: 1)` here'],
    ['h = v -> reshape(-1, 3, 4)', 'view (PyTorch) is `reshape([3, 4])` here; the batch is not written'],
    ['h = x -> transpose(0, 2, 3, 1)', 'permute (PyTorch) is `transpose([0, 2, 3, 1])` here'],
    [
      'h = x -> transpose(1, 2)',
      'swapaxes (PyTorch) is `transpose([0, 2, 1, 3])` here; this exchanges axes 1 and 2: every axis is named, 0, the batch, first',
    ],
    ['h = x -> prelu(3)', /^argument 1 without a name is shared: write prelu\(/],
    ['h = x -> conv(8, 3, lr_mult: 1, lr_mult: 2)', 'several numbers are a list: lr_mult: [1, 2]'],
    ['h = x -> upsample(stride: 2)', 'did you mean `factor`?'],
    ['h = reshape(x, [batch, 768])', 'the batch is implied, and left out'],
    ['loss = "mse"', 'e.g. loss = softmax_loss(scores, label)'],
    ['h = x -> scale(2)', 'a factor that is not learned is mul(0.5)'],
    ['loss = sum(x, axis: 1)', /it is reduce_sum, e\.g\. x -> reduce_sum\(\[2, 3\], keep: false\)/],
    ['h = max(x, x, dim: 1)', /it is reduce_max,/],
    ['h = mean(x, x, axis: [2, 3])', /it is reduce_mean,/],
    ['h = x -> normalize(mean: 0, std: 1, dim: 1)', /div\(x, x -> reduce_l2\(\[1\]\)\)/],
    ['h = x -> dropout(50)', 'it is a part of 1: 0.5 is 50 %'],
    ['h = where(x, 1)', 'write where(mask, a, b)'],
    ['h = x -> where', 'write where(mask, a, b)'],
    ['loss = softmax_loss(v)', /^write softmax_loss\(scores, label/],
    ['loss = sigmoid_loss(v)', /^write sigmoid_loss\(scores, target/],
    ['loss = softmax_loss(v, label, weight: [1, 2])', /^weight is one number; labels k count w times by two losses/],
    ['loss = softmax_loss(v, label, class_weights: [1, 2])', /labels k count w times by two losses/],
    ['loss = sigmoid_loss(v, t, pos_weight: 2)', /^a target of 1 counts w times by two losses/],
  ])('%s', (line, hint) => {
    expect(hints(line)).toEqual([typeof hint === 'string' ? hint : expect.stringMatching(hint)])
  })
})

describe('layers by the names that others give them', () => {
  test.each([
    ['h = x -> Conv2d(3, 64, 3, padding: 1) as c1', 'Conv2d (PyTorch) is `conv(64, 3, pad: 1) as c1` here'],
    [
      'h = x -> Conv2D(64, 3, strides: 2, padding: "same", activation: "relu")',
      'Conv2D (Keras) is `conv(64, 3, stride: 2, pad: same) -> relu` here',
    ],
    ['h = x -> conv2d(3, 64, 3, 2)', 'Conv2d (PyTorch) is `conv(64, 3, stride: 2)` here'],
    ['h = x -> conv2d(64, 3)', 'Conv2D (Keras) is `conv(64, 3)` here'],
    ['h = x -> Convolution(num_output: 20, kernel_size: 5, bias_term: false)', 'Convolution (Caffe) is `conv(20, 5, bias: false)` here'],
    // Sequences are [channels, 1, length]: a window is one row high, and nothing is added above or below.
    ...([
      ['Conv1d(4, 8, 5, padding: 2)', 'Conv1d (PyTorch)', 'conv(8, [1, 5], pad: [0, 2])'],
      ['conv1d(8, 5, padding: "same")', 'Conv1D (Keras)', 'conv(8, [1, 5], pad: same)'],
      ['ConvTranspose1d(4, 8, 3, 2, 1)', 'ConvTranspose1d (PyTorch)', 'deconv(8, [1, 3], stride: [1, 2], pad: [0, 1])'],
      ['MaxPool1d(2)', 'MaxPool1d (PyTorch)', 'max_pool([1, 2])'],
      ['max_pool1d(3, 2, 1)', 'MaxPool1d (PyTorch)', 'max_pool([1, 3], stride: [1, 2], pad: [0, 1])'],
      ['MaxPooling1D(2)', 'MaxPooling1D (Keras)', 'max_pool([1, 2])'],
      ['UpSampling1D(2)', 'UpSampling1D (Keras)', 'upsample([1, 2])'],
      ['ZeroPadding1D(2)', 'ZeroPadding1D (Keras)', 'pad(size: [0, 0, 2, 2])'],
      ['GlobalAveragePooling1D()', 'GlobalAveragePooling1D (Keras)', 'global_avg_pool'],
    ] as const).map(([call, name, here]): [string, string] => [
      `h = x -> ${call}`,
      `${name} is \`${here}\` here; sequences are maps of one row here, [channels, 1, length]`,
    ]),
    ['h = x -> MaxPool3d(2)', 'there are layers of maps, [channels, height, width], alone, and no MaxPool3d'],
    ['h = x -> Conv3d(1, 2, 3)', 'there are convolutions of maps, [channels, height, width], alone'],
    // Darknet's pad=1 is size / 2 zeros, whatever the size.
    [
      'h = x -> convolutional(filters: 32, size: 5, pad: 1, batch_normalize: 1, activation: leaky)',
      'convolutional (Darknet) is `conv(32, 5, pad: 2) -> batch_norm -> leaky_relu(slope: 0.1)` here',
    ],
    ['h = v -> dense(10)', 'Dense (Keras) is `fc(10)` here'],
    ['h = v -> linear(784, 10)', 'Linear (PyTorch) is `fc(10)` here'],
    ['h = v -> linear(10)', 'Linear (PyTorch) is `fc(10)` here'],
    ['h = v -> InnerProduct(500)', 'InnerProduct (Caffe) is `fc(500)` here'],
    ['h = v -> InnerProduct', 'InnerProduct (Caffe) is `fc(out)` here'],
    ['h = v -> connected(output: 10)', 'connected (Darknet) is `fc(10)` here'],
    ['h = v -> relu6', 'ReLU6 (PyTorch) is `clip(0, 6)` here'],
    ['h = relu6(v)', 'ReLU6 (PyTorch) is `clip(v, 0, 6)` here'],
    // Its one argument says whether it works in place.
    ['h = v -> relu6(true)', 'ReLU6 (PyTorch) is `clip(0, 6)` here'],
    ['h = scale_by(v, v)', 'scale_by is `mul(v, v)` here'],
    ['h = v -> swish', 'swish (Keras) is `silu` here'],
    ['h = v -> hardtanh', 'Hardtanh (PyTorch) is `clip(-1, 1)` here'],
    // PyTorch weighs the newest batch by momentum, Keras the old estimate.
    [
      'h = x -> BatchNorm2d(3, momentum: 0.2)',
      'BatchNorm2d (PyTorch) is `batch_norm(eps: 1e-5, stats: moving(newest: 0.2), gamma: 1, beta: 0, unbiased: true)` here',
    ],
    [
      'h = x -> BatchNormalization(momentum: 0.9)',
      'BatchNormalization (Keras) is `batch_norm(eps: 1e-3, stats: moving(newest: 0.1), gamma: 1, beta: 0)` here',
    ],
    [
      'h = x -> batch_norm(momentum: 0.9)',
      'write the weight of the newest batch: stats: moving(newest: 0.1) is momentum 0.1 of PyTorch, and 0.9 of Keras and TensorFlow',
    ],
    // Caffe's pooling moves by one where nothing is said, and its last window hangs over.
    ['h = x -> Pooling(pool: AVE, kernel_size: 3)', 'Pooling (Caffe) is `avg_pool(3, stride: 1, round: ceil)` here'],
    // Darknet pads by size - 1 in all, the smaller half in front.
    ['h = x -> maxpool(size: 2, stride: 1)', 'maxpool (Darknet) is `max_pool(2, stride: 1, pad: same)` here'],
    ['h = x -> maxpool(size: 3, stride: 2)', 'maxpool (Darknet) is `max_pool(3, stride: 2, pad: 1)` here'],
    ['h = x -> maxpool(size: 2, stride: 2)', 'maxpool (Darknet) is `max_pool(2, stride: 2, round: ceil)` here'],
    ['h = x -> maxpool(size: 3, stride: 3)', 'maxpool (Darknet) is `max_pool(3, stride: 3, pad: 1)` here'],
    ['h = x -> maxpool(size: 4, stride: 2)', 'maxpool (Darknet) is `max_pool(4, stride: 2, pad: [1, 2, 1, 2])` here'],
    ['h = x -> maxpool(size: 3)', 'maxpool (Darknet) is `max_pool(3, stride: 1, pad: 1)` here'],
    ['h = x -> maxpool(size: 2, stride: 2, padding: 0)', 'maxpool (Darknet) is `max_pool(2, stride: 2)` here'],
    ['h = x -> maxpool(2)', 'maxpool is `max_pool(2)` here'],
    ['h = x -> maxpool(3, 2)', 'maxpool is `max_pool(3, stride: 2)` here'],
    ['h = x -> maxpool(size: 5, stride: 1, padding: 4)', 'maxpool (Darknet) is `max_pool(5, stride: 1, pad: 2)` here'],
    ['h = x -> Pooling(pool: MAX, kernel_size: 2, stride: 2)', 'Pooling (Caffe) is `max_pool(2, stride: 2, round: ceil)` here'],
    ['h = x -> Pooling(pool: AVE, global_pooling: true)', 'Pooling (Caffe) is `global_avg_pool` here'],
    ['h = x -> avgpool', 'avgpool (Darknet) is `global_avg_pool` here'],
    ['h = x -> GlobalAveragePooling2D', 'GlobalAveragePooling2D (Keras) is `global_avg_pool` here'],
    ['h = Eltwise(x, x, operation: PROD)', 'Eltwise (Caffe) is `mul(x, x)` here'],
    ['h = subtract(x, x)', 'subtract (Keras) is `sub(x, x)` here'],
    ['h = x -> rint', 'rint (NumPy) is `round` here'],
    ['h = x -> sign', 'where(x -> relu, 1, where(x, -1, 0)) is the sign of x'],
    ['h = x -> Greater(0)', 'x > c is a mask: x -> sub(c) -> relu is not 0 there, and where(mask, a, b) takes one of two by it'],
    ['h = x -> fmod(2)', 'sub(x, x -> div(n) -> floor -> mul(n)) is what is left of x by n, with the sign of n'],
    [
      'h = x -> batch_norm(use_global_stats: true)',
      'true in both phases is stats: global(scale_factor: true); where training takes those of its batch, leave it out: nothing else does',
    ],
    [
      'h = v -> Dropout2d(0.3)',
      'Dropout2d (PyTorch) is `dropout(p: 0.3)` here; values are dropped one by one here, not channel by channel',
    ],
    ['loss = cross_entropy(v, label, ignore_index: 255)', 'cross_entropy (PyTorch) is `softmax_loss(v, label, ignore: 255)` here'],
    ['loss = SoftmaxWithLoss(v, label)', 'SoftmaxWithLoss (Caffe) is `softmax_loss(v, label)` here'],
    // PyTorch averages over all elements, Caffe over samples.
    ['loss = BCEWithLogitsLoss(v, t)', 'BCEWithLogitsLoss (PyTorch) is `sigmoid_loss(v, t, normalization: full)` here'],
    ['loss = SigmoidCrossEntropyLoss(v, t)', 'SigmoidCrossEntropyLoss (Caffe) is `sigmoid_loss(v, t)` here'],
    ['metric a = top_k_accuracy(v, label, k: 3)', 'top_k_accuracy (Keras) is `accuracy(v, label, top: 3)` here'],
    [
      'h = x -> RMSNorm',
      'there is no RMSNorm: batch_norm normalizes over the batch, layer_norm, group_norm and instance_norm each sample by itself',
    ],
    // Darknet normalizes before it activates, whatever is written first.
    [
      'h = x -> convolutional(filters: 32, size: 3, pad: 1, activation: leaky, batch_normalize: 1)',
      'convolutional (Darknet) is `conv(32, 3, pad: 1) -> batch_norm -> leaky_relu(slope: 0.1)` here',
    ],
    ['h = x -> route(-4)', 'route (Darknet) is `concat` here; tensors are named: concat(a, b)'],
    ['h = x -> maxPooling2d(poolSize: 2, strides: 2)', 'MaxPooling2D (Keras) is `max_pool(2, stride: 2)` here'],
    ['h = x -> conv2d(filters: 8, kernelSize: 3, inputShape: [28, 28, 1])', 'Conv2D (Keras) is `conv(8, 3)` here'],
    [
      'h = x -> RandomFlip("horizontal")',
      'random changes of training stand in the train block: augment mirror, crop(28, pad: 4)',
    ],
    ['h = x -> conv(8, 3, weight_init: "he_normal")', 'he_normal (Keras) is `msra` here'],
    ['h = x -> conv(8, 3, weight_init: "msra")', 'words stand without quotes: msra'],
    // The batch, which stands first there, is not written here.
    ['h = v -> view(-1, 3, 4)', 'view (PyTorch) is `reshape([3, 4])` here; the batch is not written'],
    ['h = v -> view([8, 12])', 'view (PyTorch) is `reshape([12])` here; the batch is not written'],
    // PyTorch's normalizes the last axes, as many as the shape has.
    ['h = x -> LayerNorm([3, 16, 16], eps: 1e-6)', 'LayerNorm (PyTorch) is `layer_norm(axis: -3, eps: 1e-6)` here'],
    ['h = x -> GroupNorm(3, 48)', 'GroupNorm (PyTorch) is `group_norm(3)` here'],
    ['h = x -> GroupNormalization(groups: 3)', 'GroupNormalization (Keras) is `group_norm(3, eps: 1e-3)` here'],
    ['h = x -> InstanceNorm2d(3)', 'InstanceNorm2d (PyTorch) is `instance_norm(affine: false)` here'],
    [
      'h = x -> MVN(across_channels: true)',
      'MVN (Caffe) is `layer_norm(affine: false)` here; Caffe adds its eps to the deviation, not to the variance',
    ],
    ['h = x -> permute(0, 2, 3, 1)', 'permute (PyTorch) is `transpose([0, 2, 3, 1])` here'],
    // Keras does not count the batch, which is axis 0 here too.
    ['h = x -> Permute([2, 3, 1])', 'Permute (Keras) is `transpose([0, 2, 3, 1])` here'],
    ['h = x -> Transpose(perm: [0, 2, 3, 1])', 'Transpose (ONNX) is `transpose([0, 2, 3, 1])` here'],
    ['h = x -> ReduceMean([2, 3], keepdims: 0)', 'ReduceMean (ONNX) is `reduce_mean([2, 3], keep: false)` here'],
    ['h = x -> amax(1)', 'amax (PyTorch) is `reduce_max([1], keep: false)` here'],
    [
      'h = x -> Reduction(operation: ASUM, axis: 1)',
      'Reduction (Caffe) is `reduce_l1([1], keep: false)` here; Caffe reduces axis and all behind it: name them all',
    ],
    ['h = x -> argmax(1)', 'argmax (PyTorch) is `arg_max(axis: 1, keep: false)` here'],
    // Slips of the pen in other people's names.
    ['h = v -> InnerProdcut(10)', 'InnerProduct (Caffe) is `fc(10)` here'],
    ['h = v -> Flatten', 'did you mean `flatten`?'],
    ['h = x -> batchnorm', 'did you mean `batch_norm`?'],
    // Near to another name is not that name.
    ['loss = sigmoid_cross_entropy(v, t)', 'sigmoid_cross_entropy (TensorFlow) is `sigmoid_loss(v, t, normalization: full)` here'],
    [
      'loss = softmax_cross_entropy_with_logits(v, label)',
      'softmax_cross_entropy_with_logits (TensorFlow) is `softmax_loss(v, label)` here; labels are classes',
    ],
    ['h = x -> detection', ''],
  ])('%s', (line, hint) => {
    expect(hints(line)).toEqual([hint])
  })

  test('mse says what is different about it', () => {
    expect(hints('loss = mse(v, t)')).toEqual([expect.stringMatching(/^mse \(Keras\) is `squared_loss\(v, t\)` here; .* weight: 2 \/ D$/)])
  })

  test('in a block that nobody calls', () => {
    expect(hintsOf(`block b(x) { return x -> InnerProduct(num_output: 10) }\nnet test {\n  ${inputs}  output y = v -> fc(2)\n}`)).toContain(
      'InnerProduct (Caffe) is `fc(10)` here',
    )
  })

  test('a block may be called so', () => {
    expect(hintsOf(`block dense(x, n) { return x -> fc(n) -> relu }\nnet test {\n  ${inputs}  output y = v -> dense(2)\n}`)).toEqual([])
  })
})

describe('arguments by the names that others give them', () => {
  test.each([
    ['h = x -> dropout(keep_prob: 0.8)', 'keep_prob: 0.8 is `p: 0.2` here'],
    ['h = x -> conv(4, 3, padding: 1)', 'did you mean `pad`?'],
    ['h = x -> conv(4, 3, padding: "same")', 'padding: "same" is `pad: same` here'],
    ['h = x -> conv(4, 3, padding: "valid")', 'leave it out: padding: "valid" says nothing here that is not known'],
    ['h = x -> conv(4, 3, in_channels: 3)', 'leave it out: in_channels: 3 says nothing here that is not known'],
    ['h = x -> conv(4, 3, activation: "relu")', 'it is a layer of its own, behind this one: -> relu'],
    ['h = x -> max_pool(2, ceil_mode: true)', 'ceil_mode: true is `round: ceil` here'],
    ['h = x -> conv(4, 3, trainable: false)', 'trainable: false is `lr_mult: 0` here'],
    ['h = x -> leaky_relu(alpha: 0.3)', 'did you mean `slope`?'],
  ])('%s', (line, hint) => {
    expect(hints(line)).toEqual([hint])
  })
})

describe('trainings by the names that others give them', () => {
  test.each([
    ['solver momentum(0.1, 0.9)', 'momentum (TensorFlow) is `sgd(lr: 0.1, momentum: 0.9)` here'],
    ['solver RAdam(lr: 0.1)', 'there is no solver RAdam: adam behind a warmup is nearest'],
    ['solver sgd(lr: 0.1) schedule StepLR(30, 0.2)', 'StepLR (PyTorch) is `step(0.2, 30 epochs)` here'],
    ['solver sgd(lr: 0.1) schedule MultiStepLR([30, 60])', 'MultiStepLR (PyTorch) is `multistep(0.1, [30 epochs, 60 epochs])` here'],
    [
      'solver sgd(lr: 0.1) schedule CosineAnnealingLR(T_max: 90)',
      'CosineAnnealingLR (PyTorch) is `cosine(max_iter: 90 epochs)` here; it ends at 0',
    ],
    ['solver sgd(lr: 0.1) augment RandomHorizontalFlip', 'RandomHorizontalFlip (torchvision) is `mirror` here'],
    ['solver sgd(lr: 0.1) augment RandomCrop(32, padding: 4)', 'RandomCrop (torchvision) is `crop(32, pad: 4)` here'],
    // Arguments of optimizers: PyTorch's alpha and Keras' rho are the weight of past squares, and betas are two.
    ['solver rmsprop(rho: 0.9)', 'did you mean `decay`?'],
    ['solver rmsprop(alpha: 0.9)', 'did you mean `decay`?'],
    ['solver adadelta(rho: 0.9)', 'did you mean `momentum`?'],
    ['solver adam(betas: [0.9, 0.99])', 'betas: [0.9, 0.99] is `beta1: 0.9, beta2: 0.99` here'],
    ['solver adam(betas: 0.9)', 'did you mean `beta1`?'],
    ['solver sgd(l1: 0.1)', 'l1: 0.1 is `weight_decay: 0.1, regularize: l1` here'],
    ['solver sgd(nesterov: true)', 'it is a solver of its own: nesterov(lr: ..., momentum: 0.9)'],
    [
      'solver adam(decay: 1e-6)',
      'a rate that falls is a schedule: e.g. schedule step(gamma: 0.1, every: 10 epochs), exp(gamma) or poly',
    ],
    ['solver adam\n data cifar-10', 'did you mean `cifar10`?'],
  ])('%s', (line, hint) => {
    expect(ofTraining(line)).toEqual([hint])
  })

  test('fillers too', () => {
    expect(hints('h = v -> fc(4, weight_init: glorot_uniform)')).toEqual([
      'glorot_uniform (Keras) is `xavier(variance_norm: average)` here',
    ])
    expect(hints('h = x -> scale(weight_init: kaiming_normal)')).toEqual(['kaiming_normal (PyTorch) is `msra` here'])
  })
})

describe('the table', () => {
  const all = (signatures: readonly Signature[]): { signature: Signature; synonym: Synonym }[] =>
    signatures.flatMap((signature) => (signature.elsewhere ?? []).map((synonym) => ({ signature, synonym })))

  test('no name of others is one of ours, or is there twice', () => {
    for (const signatures of [vocabulary.layers, vocabulary.solvers, vocabulary.schedules, vocabulary.augmentations]) {
      const own = new Set(signatures.map(({ name }) => name))
      expect(all(signatures).map(({ synonym }) => synonym.name).filter((name) => own.has(name))).toEqual([])
      const spelled = all(signatures).filter(({ synonym }) => synonym.least === undefined).map(({ synonym }) => synonym.name)
      expect(spelled.filter((name, i) => spelled.indexOf(name) !== i)).toEqual([])
    }
  })

  test('what is written instead compiles', () => {
    const operands: Record<string, string> = {
      softmax_loss: '(v, label)',
      hinge_loss: '(v, label)',
      accuracy: '(v, label)',
      sigmoid_loss: '(v, t)',
      squared_loss: '(v, t)',
      ...Object.fromEntries(['add', 'sub', 'mul', 'div', 'mean', 'max', 'min', 'concat'].map((name) => [name, '(x, x)'])),
    }
    const wrong = all(vocabulary.layers).flatMap(({ signature, synonym }) => {
      const call = operands[signature.name] ? `${synonym.name}${operands[signature.name]}` : `x -> ${synonym.name}`
      const [hint = ''] = hints(`h = ${call}`)
      if (synonym.none !== undefined) return hint === synonym.none ? [] : [`${synonym.name}: ${hint}`]
      const proposal = /`([^`]*)`/.exec(hint)?.[1]?.replace('[..., 1]', '[256, 3, 1]').replace('(block', '(1')
      if (proposal === undefined) return [`${synonym.name}: ${hint}`]
      const text =
        `out = 12\nkernel = 3\nchannels = 3\nheight = 16\nwidth = 16\nfactor = 2\naxis = 1\nfrom = 0\nto = 2\np = 0.5\nlo = 0\nhi = 6\nmean = 0\nstd = 1\ndims = [12, 64]\nexponent = 2\norder = [0, 2, 3, 1]\naxes = [2, 3]\ngroups = 3\nnet test {\n  ${inputs}  h = ${
          operands[signature.name] ? proposal : `x -> ${proposal}`
        }\n  output o = h\n}`
      const { program, diagnostics } = loadProgram({ file: 'test.net', text }, { vocabulary })
      const problems = program ? buildGraph(program, { operators }).diagnostics : diagnostics
      return problems.filter((d) => d.severity === 'error').map((d) => `${synonym.name}: ${proposal}: ${d.message}`)
    })
    expect(wrong).toEqual([])
  })
})
