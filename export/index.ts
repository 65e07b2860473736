/** Nets to models of other tools. No files and no machine: it runs in pages as well as in Node. */
export { type CaffeOptions, exportCaffe, type ExportedCaffe } from './caffe/export-caffe.ts'
export type { CaffeBlob, CaffeField, CaffeLayer, CaffeNet, CaffeParams } from './caffe/model.ts'
export { WRITTEN_BY } from './caffe/write-prototxt.ts'
export { ExportError, type ExportProblem } from './export-error.ts'
export type { ExportSource, InferenceOptions } from './inference-net.ts'
export { type ExportedOnnx, exportOnnx, type OnnxOptions, OPSETS } from './onnx/export-onnx.ts'
export type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxType, OnnxValue } from './onnx/model.ts'
export type { StoredTensor, Streamed } from './streamed.ts'
