/** Limits on the demands of a bundle: far above what any net of today needs, far below what makes a machine stand still. */

/**
 * Elements of a buffer or a tensor for one sample: 4 GiB, all of WebAssembly's memory and the largest binding of WebGPU.
 */
export const MOST_ELEMENTS = 2 ** 30
/** Bytes of a file: of weights, the largest, twice as many as parameters there can be. */
export const MOST_FILE_BYTES = 2 ** 33
/** Bytes of all buffers of a net at its batch, on a device that does not say how much it has. */
export const MOST_BYTES = 2 ** 36
/** Workgroups (tasks, on a CPU) of a dispatch for each element that it writes, beyond a few: each writes at least one of its own. */
export const MOST_GROUPS_AN_ELEMENT = 4
export const FEW_GROUPS = 256
export const MOST_THREAD_BYTES = 2 ** 30
/** Letters of the name of an input, a layer, a parameter: as the language has it. */
export const MOST_NAME = 1000
/** Letters of the name of a kernel, which is made of the names of many layers. */
export const MOST_LABEL = 10_000
/** Letters of the name of a file with its folders. */
export const MOST_FILE_NAME = 200
/** Letters of a line for people. */
export const MOST_TEXT = 2000
