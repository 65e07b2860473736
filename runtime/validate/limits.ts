/**
 * What a bundle may ask for. Far above what any net of today needs, far below what makes a machine stand still.
 */

/**
 * Elements of a buffer or a tensor for one sample: 4 GiB, all of WebAssembly's memory and the largest binding of WebGPU.
 */
export const MOST_ELEMENTS = 2 ** 30
export const MOST_THREAD_BYTES = 2 ** 30
/** Letters of the name of an input, a layer, a parameter. */
export const MOST_NAME = 255
/** Of a kernel or a file: made of the names of layers. */
export const MOST_LABEL = 1000
/** Of a line for people. */
export const MOST_TEXT = 2000
