import type { Group } from './page.ts'

export const convolutions: Group = {
  title: 'Convolution and inner product',
  file: 'convolution',
  intro: 'Layers with a weight and a bias. Maps are `[channels, height, width]` a sample; what a window covers beyond the map counts 0.',
  pages: {
    conv: {
      shape:
        'x [n, C, H, W] -> y [n, out, floor((H + top + bottom - dilation (kh - 1) - 1) / stride) + 1, ...], top and bottom the padding; pad: same: ceil(H / stride)',
      parameters: ['weight [out, C / groups, kh, kw]', 'bias [out]'],
      formula: [
        'y[n, o, h, w] = bias[o] + sum over c, i, j of x[n, c, h stride + i dilation - pad, w stride + j dilation - pad] weight[o, c, i, j]',
      ],
      gradient: [
        'dx: dy spread by the weight over the windows that it came from',
        'dweight[o, c, i, j] = sum over n, h, w of x[n, c, h stride + i dilation - pad, ...] dy[n, o, h, w]',
        'dbias[o] = sum over n, h, w of dy[n, o, h, w]',
      ],
      absent: { weight_init: 'msra in front of a rectifier, else xavier', bias_init: '0', weights: 'parameters of its own' },
      example: [
        'input image: f32[3, 32, 32]',
        'x = image -> conv(16, 3, pad: 1, bias: false) -> batch_norm -> relu',
        'output y = x -> conv(16, 3, pad: 1, groups: 16) -> conv(32, [1, 1], stride: 2)',
      ],
      notes: [
        '`groups` as many as channels is a depthwise convolution.',
        'A bias in front of `batch_norm` has no effect on what the net computes, and costs nothing.',
        "On a CPU 3x3 and 5x5 convolutions may be computed by Winograd's algorithm; `--precise` forgoes it.",
      ],
      see: ['deconv', 'fc', 'batch_norm', 'msra', 'xavier'],
    },
    deconv: {
      shape:
        'x [n, C, H, W] -> y [n, out, stride (H - 1) + dilation (kh - 1) + 1 - top - bottom + output_pad, ...], top and bottom the padding; pad: same: stride H',
      parameters: ['weight [C, out / groups, kh, kw]', 'bias [out]'],
      formula: ['y = bias; x[n, c, h, w] weight[c, o, i, j] is added to y[n, o, h stride + i dilation - pad, w stride + j dilation - pad]'],
      gradient: [
        'dx = the convolution of dy with the weight',
        'dweight[c, o, i, j] = sum over n, h, w of x[n, c, h, w] dy[n, o, h stride + i dilation - pad, ...]',
        'dbias[o] = sum over n, h, w of dy[n, o, h, w]',
      ],
      absent: { weight_init: 'msra in front of a rectifier, else xavier', bias_init: '0', weights: 'parameters of its own' },
      example: ['input x: f32[8, 16, 16]', 'output y = x -> deconv(4, 4, stride: 2, pad: 1) -> relu'],
      notes: [
        'The transpose of a convolution: `deconv(out, 2 s, stride: s, pad: s / 2, groups: out, weight_init: bilinear)` is bilinear up-sampling that can learn.',
      ],
      see: ['conv', 'upsample', 'bilinear'],
    },
    fc: {
      shape: 'x [n, ...] -> y [n, out]; all numbers of a sample count, whatever its shape. With axis: 2 x [n, L, ...] -> [n, L, out]',
      parameters: ['weight [out, inputs], or [inputs, out] with transpose', 'bias [out]'],
      formula: ['y[n, o] = bias[o] + sum over i of x[n, i] weight[o, i]'],
      gradient: [
        'dx[n, i] = sum over o of dy[n, o] weight[o, i]',
        'dweight[o, i] = sum over n of x[n, i] dy[n, o]',
        'dbias[o] = sum over n of dy[n, o]',
      ],
      absent: { weight_init: 'msra in front of a rectifier, else xavier', bias_init: '0', weights: 'parameters of its own' },
      example: ['input image: f32[1, 28, 28]', 'output y = image -> fc(300) -> relu -> fc(10)'],
      notes: [
        'Flattens by itself: no `flatten` is needed in front.',
        "`fc(out, axis: -1)` multiplies the last axis alone, as PyTorch's Linear and Keras' Dense do of more than two axes.",
      ],
      see: ['conv', 'flatten', 'transpose'],
    },
  },
}

const poolShape =
  'x [n, C, H, W] -> y [n, C, floor((H + top + bottom - dilation (kernel - 1) - 1) / stride) + 1, ...], top and bottom the padding; round: ceil rounds up, but drops a last window that starts in the padding; pad: same: ceil(H / stride)'

export const pooling: Group = {
  title: 'Pooling and size',
  file: 'pooling',
  intro: 'Layers that make maps smaller or larger. They have no parameters.',
  pages: {
    max_pool: {
      shape: poolShape,
      formula: [
        'y[n, c, h, w] = max over i, j of x[n, c, h stride + i dilation - pad, w stride + j dilation - pad]; padding takes no part',
      ],
      gradient: ['dx: dy goes to the largest element of its window, of equal ones to the first in row order'],
      absent: { stride: 'as large as the window' },
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3, pad: 1) -> relu -> max_pool(3, stride: 2, pad: 1)'],
      notes: ['A NaN in a window is its maximum.'],
      see: ['avg_pool', 'global_max_pool'],
    },
    avg_pool: {
      shape: poolShape,
      formula: ['y[n, c, h, w] = sum over i, j of x[n, c, h stride + i dilation - pad, w stride + j dilation - pad] / count'],
      gradient: ['dx[n, c, h, w] = sum over the windows around of dy / count'],
      absent: { stride: 'as large as the window' },
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3, pad: 1) -> relu -> avg_pool(2)'],
      notes: ['`count: caffe` counts the padding as far as it goes, as Caffe and PyTorch do; Keras, Darknet and ONNX count `valid`.'],
      see: ['max_pool', 'global_avg_pool'],
    },
    lp_pool: {
      shape: poolShape,
      formula: ['y[n, c, h, w] = (sum over i, j of |x[n, c, h stride + i dilation - pad, w stride + j dilation - pad]|^p)^(1 / p)'],
      gradient: ['dx = sum over the windows around of dy sign(x) (|x| / y)^(p - 1), 0 where y is'],
      absent: { stride: 'as large as the window' },
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3, pad: 1) -> relu -> lp_pool(2)'],
      notes: [
        "As ONNX has it; PyTorch's `LPPool2d` takes no absolute values, which differs for odd p. Over the whole map: `reduce_l2([2, 3])`.",
      ],
      see: ['avg_pool', 'max_pool'],
    },
    global_avg_pool: {
      shape: 'x [n, C, H, W] -> y [n, C, 1, 1]',
      formula: ['y[n, c] = sum over h, w of x[n, c, h, w] / (H W)'],
      gradient: ['dx[n, c, h, w] = dy[n, c] / (H W)'],
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3) -> relu -> global_avg_pool -> fc(10)'],
      see: ['avg_pool', 'global_max_pool'],
    },
    global_max_pool: {
      shape: 'x [n, C, H, W] -> y [n, C, 1, 1]',
      formula: ['y[n, c] = max over h, w of x[n, c, h, w]'],
      gradient: ['dx: dy goes to the largest element of its channel, of equal ones to the first in row order'],
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3) -> relu -> global_max_pool -> fc(10)'],
      see: ['max_pool', 'global_avg_pool'],
    },
    upsample: {
      shape: 'x [n, C, H, W] -> y [n, C, factor H, factor W]',
      formula: [
        'nearest: y[n, c, h, w] = x[n, c, floor(h / factor), floor(w / factor)]',
        'bilinear: y = x between the middles of pixels, (h + 1/2) / factor - 1/2 from the first; beyond the outermost the edge goes on',
      ],
      gradient: ['dx = sum of dy over the pixels that x went to, each with its weight'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> upsample(2, mode: bilinear) -> conv(8, 3, pad: 1)'],
      notes: ["Half-pixel centres, as PyTorch's `align_corners=False` and ONNX have it."],
      see: ['resize', 'deconv', 'bilinear'],
    },
    resize: {
      shape: 'x [n, C, H, W] -> y [n, C, size]; with scale: [n, C, floor(scale H), floor(scale W)]',
      formula: [
        'y[n, c, h, w] = sum over i, j of x[n, c, i, j] weight(p(h) - i) weight(q(w) - j), p and q the positions in x; beyond the edge it goes on',
        'half_pixel: p = (h + 1/2) / scale - 1/2; pytorch_half_pixel: the same, 0 for one row; asymmetric: p = h / scale; align_corners: p = h (H - 1) / (size - 1)',
        'half_pixel_symmetric: half_pixel, moved so that what a fractional scale leaves over is dropped evenly on both sides',
        'nearest: the pixel that `rounding` chooses; linear: 1 - |d|; cubic: (a + 2) |d|^3 - (a + 3) |d|^2 + 1 to |d| = 1, a |d|^3 - 5 a |d|^2 + 8 a |d| - 4 a to 2',
      ],
      gradient: ['dx[n, c, i, j] = sum over h, w of dy[n, c, h, w] times the same weights'],
      absent: { size: 'what `scale` gives', scale: 'size divided by the old size' },
      example: ['input x: f32[8, 16, 16]', 'output y = x -> resize([24, 40], mode: linear) -> conv(8, 3, pad: 1)'],
      notes: [
        "As ONNX' `Resize` without antialiasing: the nearest pixel is chosen by positions in float32, as onnxruntime has them.",
        "PyTorch's `interpolate`: bilinear is `mode: linear` (with `coordinates: align_corners` where it says so), nearest is `coordinates: asymmetric, rounding: floor`, nearest-exact is `rounding: round_prefer_ceil`.",
      ],
      see: ['upsample', 'deconv', 'global_avg_pool'],
    },
    pad: {
      shape: 'x [n, C, H, W] -> y [n, front + C + behind, top + H + bottom, left + W + right]',
      formula: [
        'y = x where there is x, value elsewhere',
        'reflect: x mirrored at its outermost rows and columns, which are not repeated; edge: the outermost ones, repeated',
      ],
      gradient: ['dx = dy without its frame; reflect, edge: and what the frame shows again is added to it'],
      example: ['input x: f32[8, 15, 15]', 'output y = x -> pad([0, 1, 0, 1]) -> conv(8, 2, stride: 2)'],
      notes: ['Convolutions and pooling pad by themselves: `conv(16, 3, pad: 1)`.'],
      see: ['conv', 'slice'],
    },
    depth_to_space: {
      shape: 'x [n, C block^2, H, W] -> y [n, C, H block, W block]',
      formula: [
        'dcr: y[n, c, h block + i, w block + j] = x[n, (i block + j) C + c, h, w]',
        'crd: y[n, c, h block + i, w block + j] = x[n, c block^2 + i block + j, h, w]',
      ],
      gradient: ['dx = dy, space_to_depth of the same order'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(12, 3, pad: 1) -> depth_to_space(2, order: crd)'],
      notes: ["`order: crd` is PyTorch's `PixelShuffle`, dcr is ONNX' default and TensorFlow's."],
      see: ['space_to_depth', 'resize', 'deconv'],
    },
    space_to_depth: {
      shape: 'x [n, C, H block, W block] -> y [n, C block^2, H, W]',
      formula: [
        'dcr: y[n, (i block + j) C + c, h, w] = x[n, c, h block + i, w block + j]',
        'crd: y[n, c block^2 + i block + j, h, w] = x[n, c, h block + i, w block + j]',
      ],
      gradient: ['dx = dy, depth_to_space of the same order'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> space_to_depth(2) -> conv(16, 1)'],
      notes: ["`order: crd` is PyTorch's `PixelUnshuffle`, dcr is ONNX' and TensorFlow's."],
      see: ['depth_to_space', 'max_pool'],
    },
  },
}
