import type { Row } from '../layer.ts'
import { activationRows } from './activation.ts'
import { arithmeticRows } from './arithmetic.ts'
import { convolutionRows } from './convolution.ts'
import { lossRows } from './losses.ts'
import { normalizationRows } from './normalization.ts'
import { poolingRows } from './pooling.ts'
import { reductionRows } from './reduction.ts'
import { resizingRows } from './resizing.ts'

/** How each layer of the language is written in PyTorch, by its name. */
export const ROWS: ReadonlyMap<string, Row> = new Map([
  ...convolutionRows,
  ...poolingRows,
  ...normalizationRows,
  ...activationRows,
  ...arithmeticRows,
  ...reductionRows,
  ...resizingRows,
  ...lossRows,
])
