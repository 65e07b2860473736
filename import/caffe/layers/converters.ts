import { activationConverters } from './activation.ts'
import { batchNormConverters } from './batch-norm.ts'
import type { Converter } from './converter.ts'
import { convolutionConverters } from './convolution.ts'
import { dataConverters } from './data.ts'
import { forkConverters } from './forks.ts'
import { joiningConverters } from './joining.ts'
import { lossConverters } from './loss.ts'
import { normalizationConverters } from './normalization.ts'

/** Every type of layer that the language has words for. */
export const CONVERTERS: ReadonlyMap<string, Converter> = new Map(Object.entries({
  ...dataConverters,
  ...convolutionConverters,
  ...batchNormConverters,
  ...normalizationConverters,
  ...activationConverters,
  ...joiningConverters,
  ...lossConverters,
  ...forkConverters,
}))

const CUT = 'cut the net in front of it by --outputs'

/** Why well-known types have no equal, and what to do. */
export const REFUSED: ReadonlyMap<string, readonly [what: string, mend: string]> = new Map(Object.entries({
  Python: ['it runs code of Python, which is not in the file', `${CUT}, or write what it computes as layers`],
  LSTM: ['recurrent layers have no equal', CUT],
  RNN: ['recurrent layers have no equal', CUT],
  Recurrent: ['recurrent layers have no equal', CUT],
  Embed: ['tables of vectors by numbers of words have no equal', 'give the net the vectors as its input'],
  SPP: ['pyramids of pooling have no equal as one layer', 'write a Pooling and a Flatten for each level, and a Concat'],
  Filter: ['which samples come out would depend on numbers; batches here are whole', CUT],
  BatchReindex: ['samples do not change places within a batch here', CUT],
  Im2col: ['windows laid out as columns have no equal', 'a Convolution takes the map itself'],
  InfogainLoss: ['its matrix lies in a file of its own, and the loss has no equal', 'put SoftmaxWithLoss in its place'],
  Threshold: ['steps of 0 and 1 have no equal', `${CUT} and compare what comes out`],
  Parameter: ['a learned blob without an input has no equal as a layer of Caffe', 'write Scale or Bias, whose parameters are learned'],
  PriorBox: ['boxes of detectors are made outside of the net here', CUT],
  DetectionOutput: ['boxes are chosen outside of the net here', CUT],
  MultiBoxLoss: ['losses of boxes have no equal', CUT],
  ROIPooling: ['regions are chosen outside of the net here', CUT],
  Proposal: ['regions are chosen outside of the net here', CUT],
}))

/** Types that take values in and give none. */
export const SINKS: ReadonlySet<string> = new Set(['Silence', 'HDF5Output'])
