import { accumulateOperators } from './accumulate.ts'
import { activationOperators } from './activation.ts'
import { argMaxOperators } from './arg-max.ts'
import { arithmeticOperators } from './arithmetic.ts'
import { batchNormOperators } from './batch-norm/batch-norm.ts'
import { normalizationGradientOperators } from './batch-norm/gradients.ts'
import { runningStatisticsOperators } from './batch-norm/running-statistics.ts'
import { statisticsTableOperators } from './batch-norm/statistics-table.ts'
import { channelSumOperators } from './channel-sum.ts'
import { concatOperators } from './concat.ts'
import { convOperators } from './conv.ts'
import { deconvOperators } from './deconv.ts'
import { depthSpaceOperators } from './depth-space.ts'
import { dropoutOperators } from './dropout.ts'
import { extremeOperators } from './extremes.ts'
import { fcOperators } from './fc.ts'
import { foldOperators } from './batch-norm-folding.ts'
import { joinOperators } from './join.ts'
import { hingeLossOperators } from './loss/hinge-loss.ts'
import { normalizationOperators } from './loss/normalization.ts'
import { sigmoidLossOperators } from './loss/sigmoid-loss.ts'
import { softmaxLossOperators } from './loss/softmax-loss.ts'
import { squaredLossOperators } from './loss/squared-loss.ts'
import { sumOperators } from './loss/sum.ts'
import { lpPoolOperators } from './lp-pool.ts'
import { lrnOperators } from './lrn.ts'
import { metricOperators } from './metric.ts'
import type { Operator } from './operator.ts'
import { normalizeOperators } from './normalize.ts'
import { padOperators } from './pad.ts'
import { parameterOperators } from './parameter.ts'
import { poolOperators } from './pool.ts'
import { reduceOperators } from './reduce.ts'
import { preluOperators } from './prelu.ts'
import { sampleNormGradientOperators } from './sample-norm/gradients.ts'
import { sampleNormOperators } from './sample-norm/layers.ts'
import { sampleStatisticsOperators } from './sample-norm/statistics.ts'
import { resizeOperators } from './resize.ts'
import { scaleOperators } from './scale.ts'
import { shapeOperators } from './shape.ts'
import { softmaxOperators } from './softmax.ts'
import { solverOperators } from './solver.ts'
import { transposeOperators } from './transpose.ts'
import { upsampleOperators } from './upsample.ts'
import { whereOperators } from './where.ts'

/** Every operator by name: those that files can write, and those that gradients and passes are made of. */
export const operators: ReadonlyMap<string, Operator> = new Map([
  ...convOperators,
  ...deconvOperators,
  ...fcOperators,
  ...channelSumOperators,
  ...parameterOperators,
  ...poolOperators,
  ...lpPoolOperators,
  ...lrnOperators,
  ...upsampleOperators,
  ...resizeOperators,
  ...padOperators,
  ...activationOperators,
  ...preluOperators,
  ...arithmeticOperators,
  ...joinOperators,
  ...extremeOperators,
  ...whereOperators,
  ...concatOperators,
  ...shapeOperators,
  ...transposeOperators,
  ...reduceOperators,
  ...argMaxOperators,
  ...depthSpaceOperators,
  ...dropoutOperators,
  ...softmaxOperators,
  ...softmaxLossOperators,
  ...sigmoidLossOperators,
  ...squaredLossOperators,
  ...hingeLossOperators,
  ...sumOperators,
  ...normalizationOperators,
  ...metricOperators,
  ...batchNormOperators,
  ...statisticsTableOperators,
  ...normalizationGradientOperators,
  ...runningStatisticsOperators,
  ...sampleNormOperators,
  ...sampleStatisticsOperators,
  ...sampleNormGradientOperators,
  ...scaleOperators,
  ...normalizeOperators,
  ...foldOperators,
  ...solverOperators,
  ...accumulateOperators,
].map((operator) => [operator.name, operator]))
