import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { type Shape, showShape } from '../ir/tensor.ts'
import { argumentProblem, shapeProblem } from './diagnostics.ts'
import { groupProblems, groupsParameter, kernelOf, outParameter, windowAttributes } from './conv.ts'
import { linearGradients } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { biasParameter, fillerProblems, weightAndBias, weightParameters } from './shared-parameters.ts'
import { convolutionEquation, transposedConvolutionEquation } from './conv-equations.ts'
import { dilationParameter, idleDilation, isSame, kernelParameter, mapProblems, type Pair, pairOf, padParameter, reach, type Slide,
  slidesOf, strideParameter } from './sliding-window.ts'

const outputPadOf = (q: ShapeQuestion): Pair => pairOf(q.attributes, 'output_pad', [0, 0])

/** stride (in - 1) + dilation (k - 1) + 1 - pad - end + output_pad, or stride in for `pad: same`. */
const outputSize = (size: number, slide: Slide, outputPad: number, same: boolean): number =>
  same ? size * slide.stride : slide.stride * (size - 1) + reach(slide) - slide.pad - slide.end + outputPad

function sizeProblems(q: ShapeQuestion, slides: readonly [Slide, Slide], sizes: Pair): Diagnostic[] {
  const outputPad = outputPadOf(q)
  const written = `output_pad: ${outputPad[0] === outputPad[1] ? outputPad[0] : `[${outputPad.join(', ')}]`}`
  if (isSame(q.attributes) && (outputPad[0] > 0 || outputPad[1] > 0)) {
    return [
      argumentProblem(
        q,
        'output_pad',
        'output-pad',
        `pad: same fixes the size of the output, ${written} would change it`,
        'leave output_pad out',
      ),
    ]
  }
  if (slides.some((s, d) => outputPad[d]! >= Math.max(s.stride, s.dilation))) {
    return [
      argumentProblem(
        q,
        'output_pad',
        'output-pad',
        `${written} adds rows that no window reaches`,
        'it stays below the stride, or below the dilation',
      ),
    ]
  }
  if (sizes.every((size) => size >= 1)) return []
  const x = q.inputs[0]!
  return [
    shapeProblem(
      q,
      'deconv-size',
      `nothing is left of ${showShape(x.shape)} after the padding is cut off: ${sizes.join(' x ')}`,
      [x],
      'take a smaller pad or a larger window',
    ),
  ]
}

/**
 * The transpose of a convolution: x[n, i, h, w] weight[i, o, kh, kw] is added to y at row h stride + kh dilation - pad.
 * x [n, I, h, w], weight [I, O / groups, kh, kw], bias [O], y [n, O, stride (h - 1) + dilation (kh - 1) + 1 - pad - end + output_pad, ...].
 * Diagnostics: shape/deconv-rank, shape/deconv-size, argument/groups, argument/output-pad, argument/bilinear, argument/uniform.
 */
const deconv: Operator = {
  name: 'deconv',
  signature: {
    name: 'deconv',
    parameters: [
      outParameter,
      kernelParameter,
      strideParameter,
      {
        ...padParameter,
        doc: 'rows and columns cut off around the output, or [top, bottom, left, right]; same: stride times as large as the input',
      },
      { ...dilationParameter, named: true },
      groupsParameter,
      {
        name: 'output_pad',
        type: { kind: 'window', min: 0 },
        default: [0, 0],
        named: true,
        doc: 'rows and columns more at the end of the output',
      },
      biasParameter,
      ...weightParameters,
    ],
    doc: 'transposed convolution; weight [in, out / groups, kernel height, kernel width]',
  },
  traits: { idle: idleDilation, linear: { weightLayout: () => 'iohw' } },
  shape: (q) => {
    const rank = mapProblems(q)
    if (rank.length > 0) return rank
    const [batch, channels, height, width] = q.inputs[0]!.shape as readonly [Shape[number], number, number, number]
    const kernel = kernelOf(q.attributes)
    const slides = slidesOf(q.attributes, kernel)
    const outputPad = outputPadOf(q)
    const same = isSame(q.attributes)
    const sizes: Pair = [outputSize(height, slides[0], outputPad[0], same), outputSize(width, slides[1], outputPad[1], same)]
    const problems = [...groupProblems(q), ...sizeProblems(q, slides, sizes), ...fillerProblems(q, kernel)]
    if (problems.length > 0) return problems
    const out = q.attributes['out'] as number
    const perGroup = out / ((q.attributes['groups'] as number | undefined) ?? 1)
    const area = kernel[0] * kernel[1]
    return {
      shape: [batch, out, ...sizes],
      // Fans as Caffe counts them, by the blob's shape: count / num and count / channels.
      parameters: weightAndBias(q, { weight: [channels, perGroup, ...kernel], fanIn: perGroup * area, fanOut: channels * area, out }),
    }
  },
  equations: (node) => [transposedConvolutionEquation(node)],
  gradient: (node, dy, build) =>
    linearGradients(node, dy, build, {
      dx: 'deconv_dx',
      dweight: { op: 'conv_dweight', inputs: [dy, node.inputs[0]!] },
      attributes: windowAttributes(node.attributes),
    }),
}

/** The gradient of a transposed convolution is a convolution: that of dy with the same weight. Input: dy. */
const deconvDx: Operator = { name: 'deconv_dx', equations: (node) => [convolutionEquation(node)] }

export const deconvOperators: readonly Operator[] = [deconv, deconvDx]
