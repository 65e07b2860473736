import type { Row } from '../layer.ts'
import { activationRows } from './activation.ts'
import { convolutionRows } from './convolution.ts'
import { joiningRows } from './joining.ts'
import { normalizationRows } from './normalization.ts'
import { poolingRows } from './pooling.ts'
import { reductionRows } from './reduction.ts'
import { resizingRows } from './resizing.ts'

/** How each layer of the language is written, by its name. */
export const ROWS: ReadonlyMap<string, Row> = new Map([
  ...convolutionRows,
  ...poolingRows,
  ...normalizationRows,
  ...activationRows,
  ...joiningRows,
  ...reductionRows,
  ...resizingRows,
])

const ONNX = 'write --to onnx'

/** Why other layers have no equal in Caffe, and what to do. */
export const REASONS: ReadonlyMap<string, readonly [what: string, mend: string]> = new Map([
  ['erf', ['Caffe has no error function', `tanh is near it; or ${ONNX}`]],
  ['thresholded_relu', ['steps of Caffe (Threshold) are opened by few who read such files', `take relu, or ${ONNX}`]],
  ['log_softmax', [
    'Caffe has softmax alone, whose logarithm is -Infinity where it rounds to 0',
    'make the softmax, or the scores, the output',
  ]],
  ...['floor', 'ceil', 'round'].map((op): [string, readonly [string, string]] => [op, ['Caffe rounds nothing', ONNX]]),
  ['where', ['Caffe has no choice between two values', ONNX]],
  ['transpose', ['axes of Caffe keep their order (Permute is of other versions of it)', ONNX]],
  ['resize', ['Caffe has no layer that resizes', `take upsample or deconv, or ${ONNX}`]],
])
