import type { Session } from '../bundle/device.ts'
import type { RunQueue } from './run-queue.ts'

/** A session of a net at another batch, for the last samples of an evaluation. It is kept for the next one, which is often of the same data. */
export class TailSession {
  readonly #queue: RunQueue
  readonly #load: (batch: number, programs: readonly string[]) => Promise<Session>
  #held: { readonly session: Session; readonly programs: readonly string[] } | undefined

  constructor(queue: RunQueue, load: (batch: number, programs: readonly string[]) => Promise<Session>) {
    this.#queue = queue
    this.#load = load
  }

  /** The session that runs these programs at this batch: what is held, if it is one. Throws DeviceError where the net is closed. */
  async at(batch: number, programs: readonly string[]): Promise<Session> {
    const held = this.#held
    if (held?.session.batch === batch && programs.every((name) => held.programs.includes(name))) return held.session
    this.close()
    this.#queue.refuseClosed()
    const session = await this.#load(batch, programs)
    // Who closed the net meanwhile did not know of it.
    if (this.#queue.isClosed) session.close()
    this.#queue.refuseClosed()
    this.#held = { session, programs }
    return session
  }

  close(): void {
    this.#held?.session.close()
    this.#held = undefined
  }
}
