import { called, isBatched, type Layer, numberOf, type Row } from '../layer.ts'
import { type Code, code, literal, option } from '../python-code.ts'

const batchedOption = ({ shapes }: Layer) => option('batched', isBatched(shapes.at(-1)!), true)
const ignore = ({ attributes }: Layer): number | undefined => (typeof attributes['ignore'] === 'number' ? attributes['ignore'] : undefined)

/** A call whose arguments are all options: the comma in front of the first goes. */
const options = (name: string, ...all: readonly Code[number][]): Code => code`${name}(${[...all]})`

const dropout: Row = (layer) => {
  const p = numberOf(layer, 'p', 0.5)
  return called(layer, code`Dropout(${literal(p, 'p')}${option('batched', isBatched(layer.shape), true)})`)
}

const parameter: Row = (layer) =>
  called(layer, code`Learned(${layer.shape.flatMap((dim, i) => [...(i > 0 ? [', '] : []), literal(dim as number, 'size')])})`)

export const lossRows: ReadonlyMap<string, Row> = new Map([
  [
    'softmax_loss',
    (layer) =>
      called(
        layer,
        options(
          'SoftmaxLoss',
          option('ignore', ignore(layer) ?? -1, -1),
          option('normalization', String(layer.attributes['normalization'] ?? 'valid'), 'valid'),
          batchedOption(layer),
        ),
      ),
  ],
  [
    'sigmoid_loss',
    (layer) =>
      called(
        layer,
        options(
          'SigmoidLoss',
          option('ignore', ignore(layer), undefined),
          option('normalization', String(layer.attributes['normalization'] ?? 'batch_size'), 'batch_size'),
          batchedOption(layer),
        ),
      ),
  ],
  ['squared_loss', (layer) => called(layer, code`SquaredLoss()`)],
  ['hinge_loss', (layer) => called(layer, options('HingeLoss', option('norm', numberOf(layer, 'norm', 1), 1)))],
  ['sum', (layer) => called(layer, options('Sum', batchedOption(layer)))],
  [
    'accuracy',
    (layer) => called(layer, options('Accuracy', option('top', numberOf(layer, 'top', 1), 1), option('ignore', ignore(layer) ?? -1, -1))),
  ],
  ['dropout', dropout],
  ['parameter', parameter],
])
