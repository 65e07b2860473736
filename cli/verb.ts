import type { Command } from 'commander'
import type { Screen } from './screen.ts'

/** One verb of the command: its words, and what it does. */
export interface Verb {
  readonly name: string
  readonly summary: string
  /** Arguments, options, examples. */
  describe(command: Command): void
  /** Gives the exit code. */
  run(call: Call): Promise<number>
}

export interface Call {
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  readonly screen: Screen
}
