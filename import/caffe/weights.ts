import { elementCount } from '../../bundle/sizes.ts'
import type { ByteSource } from '../byte-source.ts'
import { ImportError } from '../import-error.ts'
import type { ModelTensor } from '../model-net.ts'
import { type ByteRange, WIRE, WireReader } from '../protobuf/wire-reader.ts'

/*
 * Weights of a `.caffemodel`: a NetParameter in protobuf's wire format, whose layers (three generations of them) have blobs. Only where the
 * numbers lie is read at first. Field numbers: caffe.proto of BVLC/caffe 1.0.
 */

/** The blobs of a layer of the file, in their order. */
export interface FileLayer {
  readonly name: string
  readonly blobs: readonly FileBlob[]
}

export interface FileBlob extends ModelTensor {
  readonly count: number
}

/** A message that holds a layer: where its name and blobs are; V1 may hold a V0. */
const LAYERS: Readonly<Record<number, { readonly name: number; readonly blobs: number; readonly old?: number }>> = {
  100: { name: 1, blobs: 7 },
  2: { name: 4, blobs: 6, old: 1 },
}
const V0 = { name: 1, blobs: 50 }

/** The layers of the file that have blobs. Throws ImportError where it is damaged. */
export function readCaffemodel(source: ByteSource, progress?: (done: number) => void): FileLayer[] {
  const layers: FileLayer[] = []
  const net = new WireReader(source)
  while (net.next()) {
    const numbers = LAYERS[net.field]
    if (!numbers || net.wire !== WIRE.bytes) continue
    const layer = readLayer(net.message(), numbers)
    if (layer.blobs.length > 0) layers.push(layer)
    progress?.(net.value.to / Math.max(1, source.size))
  }
  return layers
}

function readLayer(reader: WireReader, numbers: { readonly name: number; readonly blobs: number; readonly old?: number }): FileLayer {
  let name = ''
  const blobs: FileBlob[] = []
  while (reader.next()) {
    if (reader.field === numbers.name) name = reader.text()
    else if (reader.field === numbers.blobs) blobs.push(readBlob(reader.message()))
    else if (reader.field === numbers.old) {
      const old = readLayer(reader.message(), V0)
      name ||= old.name
      blobs.push(...old.blobs)
    }
  }
  return { name, blobs }
}

const DATA = 5
const DOUBLE_DATA = 8

/** A BlobProto: `shape`, or num, channels, height and width of the first years; `data`, or `double_data`, which then counts. */
export function readBlob(reader: WireReader): FileBlob {
  const { source, from, to } = reader
  let dims: number[] | undefined
  const old = [0, 0, 0, 0]
  let [floats, doubles] = [0, 0]
  let hasOld = false
  while (reader.next()) {
    if (reader.field === 7) dims = readShape(reader.message())
    else if (reader.field === DATA) floats += numbersIn(reader, 4)
    else if (reader.field === DOUBLE_DATA) doubles += numbersIn(reader, 8)
    else if (reader.field >= 1 && reader.field <= 4) {
      old[reader.field - 1] = reader.int()
      hasOld = true
    }
  }
  const count = doubles > 0 ? doubles : floats
  const shape = dims ?? (hasOld ? old : [count])
  const wanted = elementCount(shape)
  if (wanted !== count) {
    throw new ImportError([{
      where: `${source.name} at byte ${from}`,
      what: `a blob of shape [${shape.join(', ')}] has ${count} numbers`,
      mend: 'the file is damaged or cut off: fetch or export it again',
    }])
  }
  return { shape, count, values: () => valuesOf(source, { from, to }, count, doubles > 0 ? 8 : 4) }
}

function readShape(reader: WireReader): number[] {
  const dims: number[] = []
  while (reader.next()) {
    if (reader.field !== 1) continue
    reader.ints(dims)
    if (dims.length > 32) reader.fail('a blob of more than 32 axes, which Caffe has not')
  }
  return dims
}

/** How many numbers the field has: one, or packed ones. */
function numbersIn(reader: WireReader, width: 4 | 8): number {
  if (reader.wire === (width === 4 ? WIRE.fixed32 : WIRE.fixed64)) return 1
  const { from, to } = reader.packed(width)
  return (to - from) / width
}

/** Bytes that are read at once. */
const PIECE = 1 << 22

function valuesOf(source: ByteSource, blob: ByteRange, count: number, width: 4 | 8): Float32Array {
  const values = new Float32Array(count)
  let at = 0
  const reader = new WireReader(source, blob)
  while (reader.next()) {
    if (reader.field !== (width === 4 ? DATA : DOUBLE_DATA)) continue
    if (reader.wire !== WIRE.bytes) {
      values[at++] = width === 4 ? reader.float() : reader.double()
      continue
    }
    const { from, to } = reader.packed(width)
    for (let start = from; start < to; start += PIECE) {
      const bytes = source.read(start, Math.min(to, start + PIECE))
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (let i = 0; i < bytes.length; i += width) values[at++] = width === 4 ? view.getFloat32(i, true) : view.getFloat64(i, true)
    }
  }
  return values
}
