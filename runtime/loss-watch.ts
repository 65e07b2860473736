/** The result of an update: its loss, and how many elements of gradients, new parameters and histories are not finite. */
export interface LossAndCount {
  readonly loss: number
  readonly elements: number
}

/** Looks at what each update gave, and keeps the last loss that was a number: an error tells it beside the first that is none. */
export class LossWatch {
  #last: Promise<number | undefined> = Promise.resolve(undefined)

  /** Starts anew, as the net does: the updates called before are of another course. */
  forget(): void {
    this.#last = Promise.resolve(undefined)
  }

  /** The loss of the next update. Throws what `failed` makes where it, or an element, is not finite; without `failed` it is given as it is. */
  async loss(
    read: Promise<LossAndCount>,
    failed?: (of: LossAndCount & { readonly lastFiniteLoss: number | undefined }) => Promise<Error>,
  ): Promise<number> {
    // In the order of the updates, whichever is read first.
    const before = this.#last
    this.#last = read.then((of) => (isSound(of) ? of.loss : before), () => before)
    const of = await read
    if (!failed || isSound(of)) return of.loss
    throw await failed({ ...of, lastFiniteLoss: await before })
  }
}

const isSound = ({ loss, elements }: LossAndCount): boolean => Number.isFinite(loss) && elements === 0
