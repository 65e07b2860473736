/** Bytes of pictures become the numbers 0..1. */
export const BYTE_SCALE = 1 / 255
