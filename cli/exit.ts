/**
 * Exit codes. `interrupted` is the code that shells use for Ctrl-C, `closed` that for SIGPIPE: work ended because nobody reads its
 * output. With either, `train && eval` stops there.
 */
export const EXIT = { done: 0, input: 1, usage: 2, device: 3, interrupted: 130, closed: 141 } as const

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}
