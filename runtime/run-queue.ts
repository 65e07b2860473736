import { DeviceError } from '../bundle/device.ts'

/** Work on the session of a net, one after another in the order of the calls; none once the net is closed. */
export class RunQueue {
  #tail: Promise<unknown> = Promise.resolve()
  /** Work that `#tail` stands for. */
  #waiting = 0
  #closed = false

  /** Whether a call would have to wait. */
  get isBusy(): boolean {
    return this.#waiting > 0
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Throws DeviceError where the net was closed before its turn. */
  run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++
    const result = this.#tail.then(() => {
      this.refuseClosed()
      return work()
    }).finally(() => {
      this.#waiting--
    })
    this.#tail = result.catch(() => {})
    return result
  }

  /** Throws DeviceError. */
  refuseClosed(): void {
    if (this.#closed) throw new DeviceError('this net was closed')
  }

  close(): void {
    this.#closed = true
  }
}
