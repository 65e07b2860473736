type Loop<T> = AsyncGenerator<T, void, undefined>

/** The loops over one net that were told to end by `return()`. Who calls that may go on before it is done, so that the next loop waits here. */
export class LoopEndings {
  /** Settles when all have ended. */
  settled: Promise<unknown> | undefined

  /** A loop whose `return` is heard of. One that nobody holds any more ends when memory is collected. */
  heard<T>(loop: Loop<T>): Loop<T> {
    const held = holding(loop)
    const end = held.return.bind(held)
    held.return = (value) => this.wait(end(value))
    // No closure of this function: what it holds would hold `held`.
    forgotten.register(held, [this, loop])
    return held
  }

  wait<R>(ended: Promise<R>): Promise<R> {
    this.settled = Promise.allSettled([this.settled, ended])
    return ended
  }
}

/** The generator that a user has. The loop itself knows nothing of it, so that it is collected where its user forgot it. */
async function* holding<T>(loop: Loop<T>): Loop<T> {
  yield* loop
}

const forgotten = new FinalizationRegistry(([endings, loop]: [LoopEndings, Loop<unknown>]) => {
  endings.wait(loop.return()).catch(() => {})
})
