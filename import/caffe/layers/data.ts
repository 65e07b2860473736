import { elementCount } from '../../../bundle/sizes.ts'
import type { ByteSource } from '../../byte-source.ts'
import { ImportError } from '../../import-error.ts'
import type { LayerView } from '../layer-view.ts'
import { type Blob, sourceBlob } from '../net-builder.ts'
import type { Message } from '../message.ts'
import { WireReader } from '../../protobuf/wire-reader.ts'
import { readBlob } from '../weights.ts'
import { fileBeside } from '../beside.ts'
import { type Converter } from './converter.ts'
import { quoted } from '../../../bundle/quoted.ts'

/*
 * Layers that bring data become inputs. Caffe's pictures are 0..255, those of the language 0..1:
 *   (255 x - mean) scale = (x - mean / 255) / (1 / (255 scale))
 */

/** Data sets whose pictures are known by what Caffe's examples call them. */
const KNOWN: readonly { readonly name: RegExp; readonly dims: readonly number[]; readonly data: string }[] = [
  { name: /mnist_(train|test)/, dims: [1, 28, 28], data: 'mnist' },
  { name: /cifar10_(train|test)/, dims: [3, 32, 32], data: 'cifar10' },
]

/** The shortest number that is the same float32. */
function short(x: number): number {
  for (let digits = 1; digits < 9; digits++)
    if (Math.fround(Number(x.toPrecision(digits))) === Math.fround(x)) return Number(x.toPrecision(digits))
  return x
}

/** Data, ImageData and WindowData: pictures of bytes, and labels. */
function pictures(paramName: string): Converter {
  return (view) => {
    const [param, transform] = [view.param(paramName), view.param('transform_param')]
    const [top, label, ...more] = view.layer.tops
    if (top === undefined || more.length > 0) return view.refuse(`it has ${view.layer.tops.length} tops; pictures and labels are two`)
    const known = KNOWN.find(({ name }) => name.test(param.text('source', '')))
    const size = transform.number('crop_size', 0)
    const read: readonly [number, number] = size > 0 ? [size, size] : [param.number('new_height', 0), param.number('new_width', 0)]
    const dims = size === 0 && known ? known.dims : read[0] > 0 ? [channelsOf(transform, param), ...read] : undefined
    const x = view.net.source(top, dims)
    if (!view.net.options.shapes?.has(top) && dims) {
      view.note(
        'changed',
        `its pictures are taken for ${dims.join(' x ')}${size === 0 && known ? `, those of ${known.data}` : ''}; --shape ${
          quoted(top)
        }=CxHxW says otherwise`,
      )
    }
    feed(view, param, transform)
    if (known) view.net.data = { call: known.data, arguments: {} }
    else view.note('left out', `it reads ${param.text('source', 'no source')}; here --data of \`fusenet train\` says where samples are`)
    tellOrder(view, x)
    const normalized = normalizedPictures(view, x, transform)
    return label === undefined ? [normalized] : [normalized, view.net.source(label, [])]
  }
}

function channelsOf(transform: Message, param: Message): number {
  const means = transform.numbers('mean_value').length
  if (means > 1) return means
  return transform.flag('force_gray', false) || param.flag('is_color', true) === false ? 1 : 3
}

/** Batch and random changes, which belong to training. */
function feed(view: LayerView, param: Message, transform: Message): void {
  if (view.layer.train) view.net.batch ??= param.number('batch_size')
  const size = transform.number('crop_size', 0)
  if (size > 0) view.net.augment.push({ call: 'crop', arguments: { size } })
  if (transform.flag('mirror', false)) view.net.augment.push({ call: 'mirror', arguments: {} })
  const { twin } = view.layer
  if (!twin) return
  const test = twin.sub('transform_param')
  const apart = ['scale', 'mean_file', 'mean_value', 'crop_size'].filter((name) => test.all(name).join() !== transform.all(name).join())
  if (apart.length > 0)
    view.note(
      'differs',
      `${apart.join(' and ')} of the TEST phase ${apart.length > 1 ? 'are others' : 'is another'}; here both phases take that of TRAIN`,
    )
}

function normalizedPictures(view: LayerView, x: Blob, transform: Message): Blob {
  const scale = transform.number('scale', 1)
  const means = transform.numbers('mean_value')
  const file = transform.text('mean_file')
  const { value, source } = x
  if (file !== undefined) {
    const picture = meanPicture(view, file, source?.dims)
    if (picture) {
      if (source) source.dims = picture.dims
      const known = { value, dims: picture.dims }
      const mean = view.emit('parameter', [], picture.dims, { dims: picture.dims, lr_mult: 0 }, {
        parameters: { arguments: {}, parameters: { weight: { shape: picture.dims, values: () => picture.values.map((v) => v / 255) } } },
      })
      const centred = view.emit('sub', [known, mean], picture.dims, {}, { named: false })
      return scale * 255 === 1 ? centred : view.emit('mul', [centred, short(255 * scale)], picture.dims, {}, { named: false })
    }
  }
  const channels = source?.dims?.[0]
  if (means.length > 1 && channels !== undefined && means.length !== channels)
    view.refuse(`it has ${means.length} mean_value, and its pictures ${channels} channels`)
  if (means.length === 0 && scale * 255 === 1) return x
  const mean = means.length === 0 ? [0] : means.map((m) => short(m / 255))
  const y = view.emit('normalize', [x], x.dims, { mean, std: [short(1 / (255 * scale))] }, { named: false })
  // The shape may become known later: it is that of the input.
  return source ? sourceBlob(source, y.value) : y
}

/** The mean picture of a .binaryproto beside the net, cut to its middle where the net takes a part. */
function meanPicture(
  view: LayerView,
  path: string,
  dims: readonly number[] | undefined,
): { dims: readonly number[]; values: Float32Array } | undefined {
  const found = fileBeside(view.net.options, path)
  if (!found) {
    view.note('differs', `nothing is subtracted: its mean picture, ${path}, is not beside the net; put it there and import again`)
    return undefined
  }
  const blob = readMean(view, found)
  const [channels, height, width] = blob.shape.slice(-3) as [number, number, number]
  const wanted = dims ?? [channels, height, width]
  const [c, h, w] = wanted as [number, number, number]
  if (blob.count !== channels * height * width || c !== channels || h > height || w > width) {
    view.refuse(`its mean picture is [${blob.shape.join(', ')}], and its pictures [${wanted.join(', ')}]`)
  }
  if (h < height || w < width)
    view.note(
      'differs',
      'the middle of the mean picture is subtracted; Caffe takes the part where the picture was cut, which is by chance in training',
    )
  const all = blob.values()
  const [top, left] = [Math.floor((height - h) / 2), Math.floor((width - w) / 2)]
  const values = new Float32Array(elementCount(wanted))
  for (let i = 0; i < values.length; i++) {
    const [channel, row, column] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w]
    values[i] = all[(channel * height + row + top) * width + column + left]!
  }
  return { dims: wanted, values }
}

function readMean(view: LayerView, source: ByteSource) {
  try {
    return readBlob(new WireReader(source))
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    return view.refuse(error.message)
  }
}

/** MemoryData: numbers as they are. */
const memory: Converter = (view) => {
  const [param, transform] = [view.param('memory_data_param'), view.param('transform_param')]
  const [top, label] = view.layer.tops
  const dims = ['channels', 'height', 'width'].map((name) => param.number(name, 0))
  const x = view.net.source(top ?? view.refuse('it has no top'), dims)
  feed(view, param, transform)
  const [scale, means] = [transform.number('scale', 1), transform.numbers('mean_value')]
  if (transform.has('mean_file')) view.refuse('a mean_file of MemoryData has no equal', 'subtract it from what the net is given')
  const y = scale === 1 && means.length === 0 ? x
    : view.emit('normalize', [x], dims, { mean: means.length === 0 ? [0] : means, std: [short(1 / scale)] }, { named: false })
  return label === undefined ? [y] : [y, view.net.source(label, [])]
}

const hdf5: Converter = (view) => {
  const param = view.param('hdf5_data_param')
  if (view.layer.train) view.net.batch ??= param.number('batch_size')
  view.note('left out', `it reads ${param.text('source', 'no source')}; here --data of \`fusenet train\` says where samples are`)
  return view.layer.tops.map((top) => view.net.source(top, undefined))
}

const shapesOf = (param: Message): readonly (readonly number[])[] => param.messages('shape').map((shape) => shape.numbers('dim'))

const input: Converter = (view) => {
  const blobs = sourcesOf(view, shapesOf(view.param('input_param')))
  for (const blob of blobs) tellOrder(view, blob, ', as a rule, and are 0..255 less a mean; pictures are red first and 0..1 here')
  return blobs
}

/** Tells of trained weights that they take blue for the first channel, as OpenCV reads pictures for Caffe. */
function tellOrder(view: LayerView, { value, dims }: Blob, rest = '; here red is'): void {
  const [channels, height = 0, width = 0] = dims
  if (channels !== 3 || Math.min(height, width) < 8 || !view.net.options.fileLayers) return
  const exchange = `concat(slice(${value}, 1, 2), slice(${value}, 1, 1, 2), slice(${value}, 1, 0, 1))`
  view.note('differs', `Caffe's pictures have blue first${rest}: ${exchange} exchanges them`)
}

const dummy: Converter = (view) => {
  const param = view.param('dummy_data_param')
  const old = param.numbers('num').map((n, i) => [n, ...['channels', 'height', 'width'].map((name) => param.numbers(name)[i] ?? 1)])
  view.note('changed', 'what its fillers make is an input here')
  return sourcesOf(view, param.has('shape') ? shapesOf(param) : old)
}

/** A shape a top, or one for all. The first dimension is the batch. */
function sourcesOf(view: LayerView, shapes: readonly (readonly number[])[]): readonly Blob[] {
  const { tops } = view.layer
  if (shapes.length > 1 && shapes.length !== tops.length) view.refuse(`it has ${shapes.length} shapes and ${tops.length} tops`)
  if (view.layer.train) view.net.batch ??= shapes[0]?.[0]
  return tops.map((top, i) => {
    const shape = shapes[i] ?? shapes[0]
    if (shape?.some((dim) => dim < 1)) view.refuse(`its shape is [${shape.join(', ')}]`, `say it: --shape ${quoted(top)}=3x224x224`)
    return view.net.source(top, shape?.slice(1))
  })
}

/** A Python layer without bottoms brings data. */
export const pythonSource: Converter = (view) => {
  view.note(
    'left out',
    `it runs ${view.param('python_param').text('module', '?')}.py for data; here --data of \`fusenet train\` says where samples are`,
  )
  return view.layer.tops.map((top) => view.net.source(top, undefined))
}

export const dataConverters: Readonly<Record<string, Converter>> = {
  Data: pictures('data_param'),
  ImageData: pictures('image_data_param'),
  WindowData: pictures('window_data_param'),
  MemoryData: memory,
  HDF5Data: hdf5,
  Input: input,
  DummyData: dummy,
}
