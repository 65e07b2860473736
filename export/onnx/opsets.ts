import { ExportError } from '../export-error.ts'

/** The opsets that models are written for, and the usual one. */
export const OPSETS = { first: 13, usual: 17, last: 23 } as const

/** IR versions by the first opset that came with them. https://github.com/onnx/onnx/blob/main/docs/Versioning.md */
const IR_VERSIONS: readonly (readonly [opset: number, ir: number])[] = [[13, 7], [15, 8], [19, 9], [21, 10], [23, 11]]

/** Throws ExportError for an opset that no model is written for. */
export function checkOpset(opset: number): void {
  if (!Number.isInteger(opset) || opset < OPSETS.first || opset > OPSETS.last)
    throw new ExportError([{
      where: 'opset',
      what: `models are written for opsets ${OPSETS.first} to ${OPSETS.last}, and ${opset} is none of them`,
    }])
}

/** The version of the format that a model of an opset has. */
export const irVersionOf = (opset: number): number => IR_VERSIONS.findLast(([first]) => first <= opset)![1]
