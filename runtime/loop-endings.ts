/** The loops over one net that were told to end by `return()`. Who calls that may go on before it is done, so that the next loop waits here. */
export class LoopEndings {
  /** Settles when all have ended. */
  settled: Promise<unknown> | undefined

  /** A loop whose `return` is heard of. */
  heard<T>(loop: AsyncGenerator<T, void, undefined>): AsyncGenerator<T, void, undefined> {
    const end = loop.return.bind(loop)
    loop.return = (value) => {
      const ended = end(value)
      this.settled = Promise.allSettled([this.settled, ended])
      return ended
    }
    return loop
  }
}
