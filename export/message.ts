import { PbfWriter } from 'pbf'

/** A message of protobuf, without its length. What is public says nothing of the writer: its types are not installed. */
export function message(write: (w: PbfWriter) => void): Uint8Array<ArrayBuffer> {
  const w = new PbfWriter()
  write(w)
  return Uint8Array.from(w.finish())
}

/** The key of a field of bytes, with their number. */
export const key = (field: number, length: number): Uint8Array<ArrayBuffer> =>
  message((w) => {
    w.writeVarint(field * 8 + 2)
    w.writeVarint(length)
  })
