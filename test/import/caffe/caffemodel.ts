/** Blobs as three generations of Caffe write them. */
export type Generation = 'V0' | 'V1' | 'layer'

export interface TestBlob {
  readonly shape: readonly number[]
  readonly data: ArrayLike<number>
}

export interface TestLayer {
  readonly name: string
  readonly blobs: readonly TestBlob[]
}

export interface Writing {
  readonly generation?: Generation
  /** num, channels, height and width in place of `shape`. */
  readonly legacyShape?: boolean
  /** Each number under its own key. */
  readonly unpacked?: boolean
  readonly doubles?: boolean
}

/** A `.caffemodel`, byte by byte: protobuf's wire format by hand. */
export function caffemodel(layers: readonly TestLayer[], writing: Writing = {}): Uint8Array {
  const { generation = 'layer' } = writing
  const name = field(1, text('net'))
  const parts = layers.map((layer) => {
    const blobs = (number: number): number[] => layer.blobs.flatMap((blob) => field(number, blobBytes(blob, writing)))
    if (generation === 'layer') return field(100, [...field(1, text(layer.name)), ...field(2, text('Type')), ...blobs(7)])
    if (generation === 'V1') return field(2, [...field(4, text(layer.name)), ...varintField(5, 4), ...blobs(6)])
    return field(2, field(1, [...field(1, text(layer.name)), ...field(2, text('conv')), ...blobs(50)]))
  })
  return Uint8Array.from([...name, ...parts.flat()])
}

/** A BlobProto, which is what a `.binaryproto` holds. */
export function blobBytes({ shape, data }: TestBlob, { legacyShape = false, unpacked = false, doubles = false }: Writing = {}): number[] {
  const dims = legacyShape
    ? [1, 1, 1, 1, ...shape].slice(-4).flatMap((dim, i) => varintField(i + 1, dim))
    : field(7, field(1, shape.flatMap((dim) => varint(dim))))
  const width = doubles ? 8 : 4
  const numbers = Array.from(data, (value) => {
    const bytes = new Uint8Array(width)
    const view = new DataView(bytes.buffer)
    if (doubles) view.setFloat64(0, value, true)
    else view.setFloat32(0, value, true)
    return [...bytes]
  })
  const number = doubles ? 8 : 5
  return [
    ...dims,
    ...(unpacked ? numbers.flatMap((bytes) => [...varint(number * 8 + (doubles ? 1 : 5)), ...bytes]) : field(number, numbers.flat())),
  ]
}

const text = (value: string): number[] => [...new TextEncoder().encode(value)]
const field = (number: number, bytes: readonly number[]): number[] => [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes]
const varintField = (number: number, value: number): number[] => [...varint(number * 8), ...varint(value)]

function varint(value: number): number[] {
  const bytes: number[] = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return [...bytes, value]
}
