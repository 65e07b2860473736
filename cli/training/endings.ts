import { dirname } from 'node:path'
import { InputError, NonFiniteError } from '../../bundle/errors.ts'
import { dropLocks, type Holder, type Lock, sayHolder } from '../../runtime/loading/node/lock.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { EXIT } from '../exit.ts'
import type { Screen } from '../screen.ts'
import { type Ending, SIGNALS } from '../terminal.ts'
import type { Ended } from './job.ts'
import type { Keeper } from './keeper.ts'
import { quoted } from '../../bundle/quoted.ts'

const WORDS: Readonly<Record<Ending, string>> = {
  interrupt: 'interrupted',
  hangup: 'ended, for its terminal was closed,',
  terminate: 'ended by SIGTERM',
  closed: 'ended, for nobody reads what it prints,',
  unwritable: 'ended, for what it prints cannot be written,',
}

/**
 * Lets a signal end the command at once where there is nothing to keep, before a training or between two, but for locks and what `clean`
 * removes. The signal itself does: an exit waits for files that are being read. Gives what stops listening.
 */
export function endAtOnce({ terminal }: Screen, clean: () => void): () => void {
  const unlisten = terminal.onInterrupt((why) => {
    const signal = SIGNALS.find(([, says]) => says === why)?.[0]
    // Who reads no more is told of by what is trained.
    if (!signal) return
    unlisten()
    dropLocks()
    clean()
    process.kill(process.pid, signal)
  })
  return unlisten
}

/** The lock of `output` that was taken, where nobody else has it. A signal that comes while it is taken lets go of it, too: `endAtOnce` comes first. */
export function held(lock: Lock | Holder, output: string): Lock {
  if ('release' in lock) return lock
  throw new InputError(`${sayHolder(lock)} trains for ${output} at this moment: name another place by -o`)
}

/** The early endings of a training: each saves first what was computed, then tells where and how to go on. */
export class Endings {
  /** Why it should end, once it should. */
  why: Ending | undefined
  #screen: Screen
  #net: LocalNet
  #keeper: Keeper
  #command: readonly string[]
  #output: string
  #unlisten: () => void

  /** `command`: how the training is started, but for what `--resume` brings. */
  constructor(screen: Screen, net: LocalNet, keeper: Keeper, command: readonly string[], output: string) {
    this.#screen = screen
    this.#net = net
    this.#keeper = keeper
    this.#command = command
    this.#output = output
    let count = 0
    this.#unlisten = screen.terminal.onInterrupt((why = 'interrupt') => {
      // Whoever presses Ctrl-C twice does not want to wait for a snapshot.
      if (why === 'interrupt' && ++count > 1) process.exit(EXIT.interrupted)
      this.why ??= why
    })
  }

  /** Ended with updates left: by a reason, or by its time (then undefined: it is tested and written as usual). Throws where nothing can be kept. */
  async stopped(left: number): Promise<Ended | undefined> {
    const path = await this.#keeper.rescue(this.#net)
    if (!this.why) {
      this.#say('stopped', `its time is over at step ${this.#net.steps}, with ${left} left; snapshot ${path}`, path)
      return undefined
    }
    this.#say('interrupted', `${WORDS[this.why]} at step ${this.#net.steps}, snapshot ${path}`, path)
    return this.#ended(this.why)
  }

  /** An error ended it: tells of the snapshot that is made of what is there. The error itself is somebody else's to tell. */
  async failed(error: unknown): Promise<void> {
    const { steps } = this.#net
    const last = this.#keeper.last
    if (error instanceof NonFiniteError) {
      const left = await this.#keeper.leave(this.#net).catch(() => undefined)
      const good = last === undefined ? 'no snapshot was made before' : `the last good snapshot is ${last}`
      this.#say(
        'stopped',
        `the first number that is none came at step ${error.step}; ${good}${
          left === undefined ? ''
            : `\nweights after step ${steps}, with what was under way by then, all of them numbers: ${left}\na new training starts from them by: --weights ${
              quoted(left)
            }`
        }`,
        last,
        left,
      )
      return
    }
    try {
      const path = await this.#keeper.rescue(this.#net)
      this.#say('stopped', `stopped by an error after step ${steps}, snapshot ${path}`, path)
    } catch (second) {
      const reason = second === error ? '' : ` (${(second as Error).message})`
      this.#say(
        'stopped',
        `stopped by an error after step ${steps}, and no snapshot could be made of that${reason}${
          last === undefined ? '' : `; the last one is ${last}`
        }`,
        last,
      )
    }
  }

  /** Work after the last update: if it fails, the training is kept as a snapshot. */
  async keepIfFails(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.failed(error)
      throw error
    }
  }

  /** Ended while it was tested, after all updates. */
  afterTraining(): Ended {
    this.#screen.event({ event: 'interrupted', step: this.#net.steps })
    if (!this.#screen.json) this.#screen.note(`${WORDS[this.why ?? 'interrupt']} while it was tested: the training was complete`)
    return this.#ended(this.why ?? 'interrupt')
  }

  close(): void {
    this.#unlisten()
  }

  #ended(why: Ending): Ended {
    return { exitCode: why === 'closed' ? EXIT.closed : why === 'unwritable' ? EXIT.input : EXIT.interrupted }
  }

  #say(event: 'interrupted' | 'stopped', text: string, path: string | undefined, left?: string): void {
    const resume = path === undefined ? undefined : this.#resume(path)
    this.#screen.event({ event, step: this.#net.steps, ...(path !== undefined && { path, resume }), ...(left !== undefined && { left }) })
    // Nobody may read standard output any more.
    if (!this.#screen.json || this.why === 'closed' || this.why === 'unwritable')
      this.#screen.note(`${text}${resume === undefined ? '' : `\nresume by: ${resume}`}`)
  }

  #resume(path: string): string {
    const from = dirname(path) === this.#keeper.folder ? this.#keeper.folder : path
    return [...this.#command, '--resume', from, '-o', this.#output].map(quoted).join(' ')
  }
}
