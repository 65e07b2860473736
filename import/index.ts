/** Foreign models to `.net` texts and tensors. No files and no machine: it runs in pages as well as in Node. */
export { bytesSource, type ByteSource } from './byte-source.ts'
export { ImportError, type ImportProblem } from './import-error.ts'
export { type Format, formatOf, importModel } from './import-model.ts'
export type * from './model-net.ts'
export type { ReadOptions } from './read-options.ts'
export { type ImportReport, importReport } from './write/import-report.ts'
export { safetensorsParts, tensorBytes } from './write/safetensors.ts'
export { type LayerRow, type NamedTensor, writeNet, type WrittenNet } from './write/write-net.ts'
