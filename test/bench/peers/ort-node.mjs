/** onnxruntime-node: native, on the CPU. What 256-bit and 512-bit vectors give beside us. */
import { createRequire } from 'node:module'
import { packageVersion } from '../common.mjs'
import { prepareInference } from './ort.mjs'

export async function open(_, { threads }) {
  const ort = createRequire(import.meta.url)('onnxruntime-node')
  return {
    version: packageVersion(new URL('.', import.meta.url), 'onnxruntime-node'),
    threads,
    prepare: (workload) =>
      prepareInference(ort, workload, { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 }),
  }
}
