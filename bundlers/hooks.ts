import type { Problem } from './problem.ts'

/**
 * The part of a bundler's `this` in a plugin's hooks that is used here. It is the same in Rollup, Rolldown and Vite, so nothing depends
 * on their types.
 */
export interface Hooks {
  addWatchFile(file: string): void
  emitFile(file: { type: 'asset'; fileName: string; source: Uint8Array | string }): string
  warn(message: string): void
  error(problem: Problem): never
  resolve?(
    source: string,
    importer: string,
    options: { skipSelf: true },
  ): Promise<{ readonly id: string; readonly external?: unknown } | null>
  /** An expression for the address of a folder of emitted files, with a slash at its end, where files have none by which they are asked for. */
  addressOf?(folder: string): string
  /** Vite from 6 on. */
  readonly environment?: { readonly mode?: string; readonly config: { readonly consumer?: string } }
}
