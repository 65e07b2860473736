import { fstatSync, readSync } from 'node:fs'
import { isatty } from 'node:tty'

/**
 * Why a command should end early: Ctrl-C, the window was closed, somebody asked for it (SIGTERM), the reader of standard output went
 * away, or standard output cannot be written to.
 */
export type Ending = 'interrupt' | 'hangup' | 'terminate' | 'closed' | 'unwritable'

/** The input and output of a command: those of the process, or a test's own. */
export interface Terminal {
  readonly out: Stream
  readonly err: Stream
  readonly env: Readonly<Record<string, string | undefined>>
  /** All of standard input. */
  readInput(): Promise<string>
  /** Calls back at each reason to end early until the returned function is called; of several that listen, the last. Absent: Ctrl-C. */
  onInterrupt(handler: (why?: Ending) => void): () => void
  /** The failure of standard output, except that its reader went away. */
  outFailure?(): NodeJS.ErrnoException | undefined
}

export interface Stream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** Signals that end a command, by what they say. */
export const SIGNALS = [['SIGINT', 'interrupt'], ['SIGHUP', 'hangup'], ['SIGTERM', 'terminate']] as const

/**
 * Whether `nohup` started the command: a closed terminal is then not to end it. The signal that `nohup` lets a program ignore is set back by
 * Node as it starts (PlatformInit of node.cc), so other traces tell: a standard input that cannot be read, which `nohup` of GNU makes of a
 * terminal, and what the shell says that it ran.
 */
function isHeldByNohup(): boolean {
  if (process.platform === 'win32') return false
  if (/(^|\/)nohup$/.test(process.env['_'] ?? '')) return true
  try {
    // In numbers of 64 bits: Node 20's realpath, by which it finds packages through links, takes the others of a pipe for those of a folder.
    if (isatty(0) || !fstatSync(0, { bigint: true }).isCharacterDevice()) return false
    readSync(0, new Uint8Array(1), 0, 1, null)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBADF'
  }
}

export function processTerminal(): Terminal {
  const handlers = new Set<(why?: Ending) => void>()
  const end = (why: Ending): void => [...handlers].at(-1)?.(why)
  let broken: NodeJS.ErrnoException | undefined
  const held = isHeldByNohup()
  if (held) process.on('SIGHUP', () => {})
  const listeners = SIGNALS.filter(([signal]) => !(held && signal === 'SIGHUP')).map(([signal, why]) => [signal, () => end(why)] as const)
  // `fusenet inspect ... | head` closes the pipe early: what is left is computed for nobody, quietly. Work that may be long is told.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (broken) return
    broken = error
    end(error.code === 'EPIPE' ? 'closed' : 'unwritable')
  })
  // What is said on the way has no reader any more; the work goes on.
  process.stderr.on('error', () => {})
  return {
    out: {
      write: (text) => {
        if (!broken) process.stdout.write(text)
      },
      get isTTY() {
        return process.stdout.isTTY
      },
      get columns() {
        return process.stdout.columns
      },
    },
    err: process.stderr,
    env: process.env,
    async readInput() {
      const parts: Buffer[] = []
      for await (const part of process.stdin) parts.push(part as Buffer)
      return Buffer.concat(parts).toString('utf8')
    },
    onInterrupt(handler) {
      if (handlers.size === 0) { for (const [signal, listener] of listeners) process.on(signal, listener) }
      handlers.add(handler)
      // It may have happened before anybody listened.
      if (broken)
        queueMicrotask(() => {
          if (handlers.has(handler)) handler(broken!.code === 'EPIPE' ? 'closed' : 'unwritable')
        })
      return () => {
        handlers.delete(handler)
        if (handlers.size === 0) { for (const [signal, listener] of listeners) process.off(signal, listener) }
      }
    },
    outFailure: () => (broken && broken.code !== 'EPIPE' ? broken : undefined),
  }
}
