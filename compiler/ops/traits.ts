import type { Attributes } from '../../dsl/signature.ts'
import type { NormalizationEntry } from '../../bundle/format.ts'
import type { Node } from '../graph/graph.ts'

/** The layer is linear in its parameter `weight`, which has an output channel, and adds its parameter `bias` to each channel. */
export interface LinearTrait {
  /** The order of the weight's first two axes: output channels first, or input channels first. */
  readonly weightLayout: (attributes: Attributes) => 'oihw' | 'iohw'
  /**
   * Whether every output sees all of its weight, so that an affine function of each input channel can be folded into weight and bias.
   * False: some outputs see padding, which is zero behind that function. Absent: there is no such folding.
   */
  readonly foldsInput?: (attributes: Attributes) => boolean
  /** Whether its input's and its output's channels are axis 1, so that what works channel by channel can be folded into it. Absent: they are. */
  readonly ofChannels?: (node: Pick<Node, 'inputs' | 'attributes'>) => boolean
  /** Whether each point of its output depends on the same point of its input alone, by the same weight. Absent: it does not. */
  readonly pointwise?: (attributes: Attributes) => boolean
}

/** The layer normalizes each channel with statistics: those of the batch, or stored ones. */
export interface StatisticsTrait {
  /** How its statistics are kept. */
  readonly policy: (attributes: Attributes) => NormalizationEntry['stats']
  /** The attributes of the same layer with its stored statistics frozen: they are used in training too, and never updated. */
  readonly frozen: (attributes: Attributes) => Attributes
}

/** An argument that changes nothing in a call, where it is written, by the value of another one. */
export interface IdleArgument {
  readonly name: string
  /** The argument that makes it so, and how its value is written, at least in part: `stats`, `global`. */
  readonly by: string
  readonly value: string
  readonly why: string
}

/**
 * The facts about an operator that the front end and passes ask for. They ask for a trait in place of a list of names, so that an
 * operator that is added is treated as its kind from the first day.
 */
export interface OperatorTraits {
  readonly linear?: LinearTrait
  readonly statistics?: StatisticsTrait
  /** A rectifier or alike: about half of the values are lost, so a weight in front of it starts with `msra`. */
  readonly rectifier?: boolean
  /**
   * The search for the activation behind a weight goes on behind this operator, since it passes on its first input's values channel by
   * channel: normalized, scaled, pooled, dropped, copied, or in another shape. What joins several values is none of them. See `initializerOf`.
   */
  readonly initSeesThrough?: boolean
  /** Nothing happens at test time: `dropout`. */
  readonly identityAtTest?: boolean
  /** The output is the input's storage under another shape: no equation, no bytes. */
  readonly view?: boolean
  /** The layer normalizes each sample with statistics of its own: `group_norm`, `layer_norm`. */
  readonly normalizesSamples?: boolean
  /** It summarizes windows of a map: nothing folds through it. */
  readonly pooling?: boolean
  /**
   * Each channel of the output is the same linear function of the points of its channel. `whole`: the shares that an output takes of its points come to one,
   * so that a constant stays what it is; `partial`: not of all outputs. `taps`: of how many points, at most.
   */
  readonly averages?: (
    node: Pick<Node, 'inputs' | 'outputs' | 'attributes'>,
  ) => { readonly shares: 'whole' | 'partial'; readonly taps: number }
  /** Whether a larger or a smaller number of a metric is better. Absent: nobody can tell. */
  readonly betterIs?: 'higher' | 'lower'
  /** The first input holds scores of classes (axis 1), and the second, where it is i32, the labels that they are compared with. */
  readonly comparesLabels?: boolean
  /** The operator that this one applies to its first input itself, so that one in front of it would be a second: `softmax` of `softmax_loss`. */
  readonly applies?: string
  /** The scores that a loss gets small by: the least of them not above the first number, the most not below the second. */
  readonly wantsScores?: readonly [least: number, most: number]
  /** The least and the most that the output can be, where its function has bounds; rounded away from each other. */
  readonly bounds?: (attributes: Attributes) => readonly [least: number, most: number]
  /** Whether a small change of an input, counted from 0, changes nothing, so that its gradient is 0: `floor`, the mask of `where`. Absent: of none. */
  readonly isFlatIn?: (input: number) => boolean
  /** The arguments that change nothing in a call of these, if they are written: `rounding` of a linear `resize`. */
  readonly idle?: (attributes: Attributes) => readonly IdleArgument[]
  /** The output's channels are the classes that the first input's channels score: `softmax`. */
  readonly keepsClasses?: boolean
}

const NONE: OperatorTraits = {}

/** The traits of a node's operator; none for an operator that has none. */
export const traitsOf = (operators: ReadonlyMap<string, { readonly traits?: OperatorTraits }>, { op }: Pick<Node, 'op'>): OperatorTraits =>
  operators.get(op)?.traits ?? NONE

/** How a node is linear in its weight, channel by channel; undefined where it is not. */
export function linearOf(
  operators: ReadonlyMap<string, { readonly traits?: OperatorTraits }>,
  node: Pick<Node, 'op' | 'inputs' | 'attributes'>,
): LinearTrait | undefined {
  const { linear } = traitsOf(operators, node)
  return linear?.ofChannels?.(node) === false ? undefined : linear
}
