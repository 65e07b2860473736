/**
 * The interface, in memory, between a WebAssembly module of a bundle and its host: the module's run loop and the code that starts it
 * agree on these numbers. `docs/bundle.md` explains them.
 */

/** Bytes of a page of WebAssembly memory. The first one is for control. */
export const PAGE_BYTES = 65536

/** Byte addresses of control words in the first page. */
export const CONTROL = {
  /** The scalars of the step: see `step-uniform.ts`. */
  step: 64,
  /** Counts runs; workers wait for a change. */
  go: 128,
  /** A word that tells workers to end at the next run, where it is not 0. */
  stop: 132,
  /** Address of the program block that runs. */
  program: 136,
  threads: 140,
  /** The dispatch in which a thread trapped, from 1. Between threads of the host alone: the module does not know it. */
  failed: 144,
  /** Threads that have arrived at the barrier behind a dispatch. Three cache lines keep what threads write apart from what they wait for. */
  arrived: 192,
  /** Counts barriers that were passed. */
  phase: 256,
  /** Threads that sleep at the barrier. */
  sleepers: 260,
  /** Address of the first thread's own memory, and how many bytes each thread has. */
  scratch: 320,
  scratchBytes: 324,
  /** Not 0 where the first thread may sleep at the barrier, too: everywhere but on a page's main thread. */
  mayWait: 328,
  /** How many tasks have been taken of each thread's share of a dispatch: a cache line (`LINE_BYTES`) a thread. */
  taken: 384,
} as const

/** What one thread writes lies so far apart from what another does. */
export const LINE_BYTES = 64

/** Byte offsets in a record, which says what a dispatch does. `busy` is not 0 while threads are at it; addresses of tensors follow. */
export const RECORD = { kernel: 0, tasks: 4, chunk: 8, busy: 12, tensors: 16 } as const

/** Records start at multiples of so many bytes. */
export const RECORD_ALIGNMENT = 16

/**
 * The number of elements of 4 bytes that kernels may read before and after a tensor: a page, so that no tensor lies in the first or the
 * last page.
 */
export const READ_MARGIN: number = PAGE_BYTES / 4
