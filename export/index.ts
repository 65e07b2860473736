/** Nets to models of other tools. No files and no machine: it runs in pages as well as in Node. */
export { ExportError, type ExportProblem } from './export-error.ts'
export type { ExportSource, InferenceOptions } from './inference-net.ts'
export { type ExportedOnnx, exportOnnx, type OnnxOptions, OPSETS } from './onnx/export-onnx.ts'
export type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue } from './onnx/model.ts'
export type { Streamed } from './onnx/write-model.ts'
