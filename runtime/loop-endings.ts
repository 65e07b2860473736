type Loop<T> = AsyncGenerator<T, void, undefined>

/**
 * The loops over one net that were told to end by `return()`: who calls that may go on before it is done, so that the next loop waits here. And
 * whether the last one ever began.
 */
export class LoopEndings {
  /** A loop was made, and nothing was asked of it. */
  #idle = false
  /** Settles when all have ended. */
  settled: Promise<unknown> | undefined

  /** A loop whose `return` is heard of. One that nobody holds any more ends when memory is collected. */
  heard<T>(loop: Loop<T>): Loop<T> {
    const held = this.#holding(loop)
    const end = held.return.bind(held)
    this.#idle = true
    held.return = (value) => {
      this.#idle = false
      return this.wait(end(value))
    }
    // No closure of this function: what it holds would hold `held`.
    forgotten.register(held, [this, loop])
    return held
  }

  /** Is asked before the net is used: who comes from another library awaits `train`, which trains nothing. */
  idle(): void {
    if (this.#idle) console.warn('net.train is a loop: for await (const { loss } of net.train(data)) {}')
    this.#idle = false
  }

  /** The generator that a user has. The loop itself knows nothing of it, so that it is collected where its user forgot it. */
  async *#holding<T>(loop: Loop<T>): Loop<T> {
    this.#idle = false
    yield* loop
  }

  wait<R>(ended: Promise<R>): Promise<R> {
    this.settled = Promise.allSettled([this.settled, ended])
    return ended
  }
}

const forgotten = new FinalizationRegistry(([endings, loop]: [LoopEndings, Loop<unknown>]) => {
  endings.wait(loop.return()).catch(() => {})
})
