import type { Format, Target } from './target.ts'
import { toCaffe } from './to-caffe.ts'
import { toOnnx } from './to-onnx.ts'
import { toOnnxStep } from './to-onnx-step.ts'
import { toTorch } from './to-torch.ts'

export { started } from './files.ts'

/** How each format is written. */
export const TARGETS: Readonly<Record<Format, Target>> = { onnx: toOnnx, 'onnx-step': toOnnxStep, caffe: toCaffe, torch: toTorch }
