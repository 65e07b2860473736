import { main } from '../../cli/command.ts'
import type { Terminal } from '../../cli/terminal.ts'

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command line in this process. `interruptAt` fires Ctrl-C once so much was said; `hear` is called with all of it each time. `interruptBy` is given what fires it. */
export async function fusenet(
  argv: readonly string[],
  options: {
    readonly input?: string
    readonly env?: Record<string, string>
    readonly interruptAt?: RegExp
    readonly interruptBy?: (interrupt: () => void) => void
    readonly hear?: (said: string) => void
  } = {},
): Promise<Said> {
  let out = ''
  let err = ''
  const handlers = new Set<() => void>()
  let interrupted = false
  const listen = (): void => {
    options.hear?.(out + err)
    if (interrupted || !options.interruptAt?.test(out + err)) return
    interrupted = true
    ;[...handlers].at(-1)?.()
  }
  options.interruptBy?.(() => [...handlers].at(-1)?.())
  const terminal: Terminal = {
    out: {
      write(text) {
        out += text
        listen()
      },
    },
    err: {
      write(text) {
        err += text
        listen()
      },
    },
    env: { NO_COLOR: '1', ...options.env },
    readInput: async () => options.input ?? '',
    onInterrupt(handler) {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
  }
  const code = await main(argv, terminal)
  return { code, out, err }
}

/** The JSON that a command printed. */
export const json = (said: Said): any => JSON.parse(said.out)
/** One object a line. */
export const lines = (said: Said): any[] => said.out.trim().split('\n').map((line) => JSON.parse(line))
