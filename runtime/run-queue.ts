import { DeviceError } from '../bundle/device.ts'

/** What a piece of work does: it takes parameters as they are, it changes them, or it is a part of the evaluation that is under way. */
export type Work = 'read' | 'change' | 'evaluate'

interface Piece {
  /** `evaluation`: a whole one, whose parts are pieces of their own. */
  readonly kind: Work | 'evaluation'
  readonly start: () => Promise<void>
}

/**
 * Work on the session of a net, one after another in the order of the calls; none once the net is closed. An evaluation is of one state of the
 * net: what changes parameters waits until it is done, and so does what was called behind that. Other work goes on between its batches.
 */
export class RunQueue {
  readonly #waiting: Piece[] = []
  #isRunning = false
  #isEvaluating = false
  #closed = false

  /** Whether such work would have to wait. */
  isBusyFor(kind: Work): boolean {
    return this.#isRunning || this.#waiting.length > 0 || (kind === 'change' && this.#isEvaluating)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Throws DeviceError where the net was closed before its turn. */
  run<T>(work: () => Promise<T>, kind: Work = 'read'): Promise<T> {
    return this.#add(kind, work)
  }

  /** An evaluation, whose parts come as `evaluate`: one at a time. Throws DeviceError where the net was closed before its turn. */
  evaluation<T>(work: () => Promise<T>): Promise<T> {
    return this.#add('evaluation', work)
  }

  #add<T>(kind: Piece['kind'], work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const start = (): Promise<void> =>
        Promise.resolve().then(() => {
          this.refuseClosed()
          return work()
        }).then(resolve, reject)
      this.#waiting.push({ kind, start })
      this.#startNext()
    })
  }

  #startNext(): void {
    if (this.#isRunning) return
    const at = this.#indexOfNext()
    if (at < 0) return
    const [{ kind, start }] = this.#waiting.splice(at, 1) as [Piece]
    const done = this.#begin(kind)
    void start().then(() => {
      done()
      this.#startNext()
    })
    this.#startNext()
  }

  /** Gives what ends it. */
  #begin(kind: Piece['kind']): () => void {
    if (kind === 'evaluation') {
      this.#isEvaluating = true
      return () => {
        this.#isEvaluating = false
      }
    }
    this.#isRunning = true
    return () => {
      this.#isRunning = false
    }
  }

  #indexOfNext(): number {
    let isHeld = false
    return this.#waiting.findIndex(({ kind }) => {
      if (kind === 'evaluate') return true
      isHeld ||= this.#isEvaluating && kind === 'change'
      return !isHeld && !(this.#isEvaluating && kind === 'evaluation')
    })
  }

  /** Throws DeviceError. */
  refuseClosed(): void {
    if (this.#closed) throw new DeviceError('this net was closed')
  }

  close(): void {
    this.#closed = true
  }
}
