import { fillerText } from './filler-text.ts'
import type { GoldenCase } from './golden-file.ts'
import { hasBatchNorm, netText } from './net-text.ts'
import { solverNet } from './run-solver.ts'
import { statisticsText } from './run-statistics.ts'
import { trainingNet } from './run-training.ts'
import { ratesText } from './train-text.ts'

/** The different `.net` texts that the suite compiles for a case: in both spellings, with every blob and with the final ones alone. */
export function caseTexts(golden: GoldenCase): string[] {
  const { kind, meta } = golden
  const spellings = hasBatchNorm(golden) || kind === 'bn_stats' ? (['as given', 'other'] as const) : (['as given'] as const)
  const texts = spellings.flatMap((spelling): string[] => {
    switch (kind) {
      case 'net':
        return [true, false].map((everyBlob) => netText(golden, { spelling, everyBlob, train: 'train { solver sgd(lr: 0) }' }).text)
      case 'bn_stats':
        return samplesOf(golden).map((sample) => statisticsText(golden, sample, spelling))
      case 'solver':
        return [solverNet(golden).text]
      case 'train':
        return [trainingNet(golden, { spelling }).text]
      case 'lr_policy':
        return [ratesText(meta['options'])]
      case 'filler':
        return [fillerText(meta['filler'], meta['shape']).text]
    }
  })
  return [...new Set(texts)]
}

/** Shapes of a sample, one for each that batches of a case have. */
const samplesOf = ({ tensors }: GoldenCase): number[][] => {
  const shapes = [...tensors].filter(([name]) => /^in\.x(?:\d+|_test)$/.test(name)).map(([, { shape }]) => shape.slice(1))
  return [...new Map(shapes.map((shape) => [shape.join(), shape])).values()]
}
