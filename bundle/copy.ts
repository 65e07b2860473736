/** A copy of a typed array, in memory of its own: `slice` of a Buffer, which is what Node reads files into, is a view of the same memory. */
export const copyOf = <T extends ArrayBufferView>(data: T): T => Uint8Array.prototype.slice.call(data) as unknown as T
