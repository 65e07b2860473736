import { plain } from './plain.ts'

/** An error in what the caller gave: a name, length, type or label that does not fit the net. Exit code 1. */
export class InputError extends Error {
  override name = 'InputError'
}

/**
 * A training came upon a number that is none: the loss, a gradient or what would have been a parameter is infinite or NaN. Parameters, histories
 * and running statistics are finite all the same: what would not be is not written. Exit code 1.
 */
export class NonFiniteError extends Error {
  override name = 'NonFiniteError'
  /** The update that was broken, counted from 1. */
  readonly step: number
  readonly rate: number
  readonly loss: number
  /** Elements of the parameters that were not updated. */
  readonly elements: number
  /** The layer (or the input) where it shows first. Undefined: that could not be found. */
  readonly layer: string | undefined
  /** The updates that the net has had, those behind the broken one too, which were under way when it was seen: its state is that of this update. */
  readonly done: number
  /** The last finite loss of the earlier updates of this net. Undefined where there were none. */
  readonly lastFiniteLoss: number | undefined

  constructor(
    found: Pick<NonFiniteError, 'step' | 'rate' | 'loss' | 'elements' | 'done' | 'lastFiniteLoss'>,
    place?: { readonly layer: string; readonly what: string },
  ) {
    const { step, rate, loss, elements, done, lastFiniteLoss } = found
    const behind = done - step
    const what = Number.isFinite(loss) ? `${elements} gradients, weights or running statistics are not finite` : `the loss is ${loss}`
    super(
      `training stops at update ${step}: ${what}${place ? `; it shows first in ${place.what}` : ''}. ${
        behind > 0
          ? `${behind === 1 ? 'The update' : `${behind} updates`} behind it ${
            behind === 1 ? 'was' : 'were'
          } under way: the net is that of update ${done}. ` : ''
      }The rate is ${rate}, ${
        lastFiniteLoss === undefined ? 'no loss before was finite' : `the loss before was ${Number(lastFiniteLoss.toPrecision(6))}`
      }: `
        + 'try a lower rate, clip_gradients, or look at the data; keepGoing: true (--keep-going) trains on',
    )
    this.step = step
    this.rate = rate
    this.loss = loss
    this.elements = elements
    this.done = done
    this.lastFiniteLoss = lastFiniteLoss
    this.layer = place?.layer
  }
}

/** A contradiction in a bundle, and its place: `plans.webgpu.tensors[3].offset`. */
export interface Problem {
  readonly path: string
  readonly message: string
}

/** The bundle contradicts itself, or is not one. Exit code 1. */
export class BundleError extends Error {
  override name = 'BundleError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const shown = problems.slice(0, 8).map((p) => `${plain(p.path)}: ${plain(p.message, 300)}`)
    if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`)
    super(`this bundle cannot be used:\n  ${shown.join('\n  ')}`)
    this.problems = problems
  }
}
