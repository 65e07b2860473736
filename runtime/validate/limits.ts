/** More elements in a buffer than any device holds; far below where sums of offsets lose integers. */
export const MOST_ELEMENTS = 2 ** 36
export const MOST_THREAD_BYTES = 2 ** 30
