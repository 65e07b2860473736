import type { Session } from '../bundle/device.ts'
import { TRAINING_PROGRAMS } from '../bundle/format.ts'
import { elementCount } from '../bundle/sizes.ts'

/**
 * Keeps gradients of one kind of training out of the other. They lie in one buffer, where a program writes those that it has: a bias in front of a
 * normalization with the batch's statistics has none, so that its place is to stay zero (`drop-cancelled-bias`), and has one with stored statistics. Both
 * kinds of one net share the buffer.
 */
export class StaleGradients {
  readonly #session: Session
  #made: 'batch' | 'global' | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** Makes the buffer of gradients zero where the program that runs next is of the other kind than the one before. */
  clearFor(program: string): void {
    if (!(TRAINING_PROGRAMS as readonly string[]).includes(program)) return
    const kind = program.endsWith('/global') ? 'global' : 'batch'
    const before = this.#made
    this.#made = kind
    if (before === undefined || before === kind) return
    const { plan: { tensors, buffers }, batch } = this.#session
    const own = tensors.flatMap((t, i) => {
      const { name, role, elements } = buffers[t.buffer]!
      if (role !== 'gradients' || name !== role) return []
      const count = elementCount(t.shape, batch)
      return [{ i, count, isAll: count === elements.fixed }]
    })
    const all = own.find(({ isAll }) => isAll)
    for (const { i, count } of all ? [all] : own) this.#session.write(i, new Float32Array(count))
  }
}
