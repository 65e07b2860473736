import { isSame, type Pair, pairOf, reach, type Slide, slidesOf } from '../../../compiler/ops/sliding-window.ts'
import { channelsOf, isBatched, type Layer, numberOf, type Row, SELF } from '../layer.ts'
import { type Code, code, literal, option, type PythonValue } from '../python-code.ts'

/** One number where both directions agree. */
export const square = ([a, b]: readonly [number, number]): PythonValue => (a === b ? a : [a, b])

const both = (slides: readonly [Slide, Slide], of: (slide: Slide) => number): readonly [number, number] => [of(slides[0]), of(slides[1])]

/** Arguments that all windows have. */
export const windowOptions = (slides: readonly [Slide, Slide]): Code => [
  option('stride', square(both(slides, ({ stride }) => stride)), 1),
  option('dilation', square(both(slides, ({ dilation }) => dilation)), 1),
]

/** Rows or columns in front of a map and behind it that windows reach; negative where the last ones are not reached. */
export const frameOf = (slide: Slide, dense: number, strided: number): Pair => [
  slide.pad,
  (strided - 1) * slide.stride + reach(slide) - dense - slide.pad,
]

/** What of a frame is F.pad's second argument: left, right, top, bottom. */
export const framePad = ([rows, columns]: readonly [Pair, Pair]): PythonValue => [...columns, ...rows]

/** nn.Conv2d has padding of the same size on both sides; what it does not read behind the map needs none. */
const conv: Row = (layer) => {
  const { attributes, shapes, shape } = layer
  const slides = slidesOf(attributes, pairOf(attributes, 'kernel', [1, 1]), { dense: shapes[0]!, strided: shape })
  const frames = slides.map((slide, d) => frameOf(slide, shapes[0]![d + 2] as number, shape[d + 2] as number)) as unknown as [Pair, Pair]
  const isEven = slides.every((slide, d) => isSame(attributes) ? frames[d]![0] === frames[d]![1] : slide.pad === slide.end)
  const padding = isEven ? square(both(slides, ({ pad }) => pad)) : 0
  return {
    module: code`nn.Conv2d(${literal(channelsOf(layer), 'in_channels')}, ${literal(numberOf(layer, 'out', 1), 'out')}, ${
      literal(square(both(slides, ({ kernel }) => kernel)), 'kernel')
    }${windowOptions(slides)}${option('padding', padding, 0, 'pad')}${option('groups', numberOf(layer, 'groups', 1), 1)}${
      option('bias', layer.has('bias'), true)
    })`,
    value: isEven ? code`${SELF}(${0})` : code`${SELF}(F.pad(${0}, ${literal(framePad(frames), 'frame')}))`,
  }
}

/** nn.ConvTranspose2d cuts off as much on both sides; where the text does not, all is kept and cut behind it. */
const deconv: Row = (layer) => {
  const { attributes, shapes, shape } = layer
  const slides = slidesOf(attributes, pairOf(attributes, 'kernel', [1, 1]), { dense: shape, strided: shapes[0]! })
  const sizes = [0, 1].map((d) => [shapes[0]![d + 2] as number, shape[d + 2] as number] as const)
  const more = slides.map((s, d) => sizes[d]![1] - ((sizes[d]![0] - 1) * s.stride + reach(s) - 2 * s.pad))
  const fits = slides.every((s, d) => more[d]! >= 0 && more[d]! < Math.max(s.stride, s.dilation))
  const module = (padding: PythonValue, outputPadding: PythonValue): Code =>
    code`nn.ConvTranspose2d(${literal(channelsOf(layer), 'in_channels')}, ${literal(numberOf(layer, 'out', 1), 'out')}, ${
      literal(square(both(slides, ({ kernel }) => kernel)), 'kernel')
    }${windowOptions(slides)}${option('padding', padding, 0, 'pad')}${option('output_padding', outputPadding, 0)}${
      option('groups', numberOf(layer, 'groups', 1), 1)
    }${option('bias', layer.has('bias'), true)})`
  if (fits) return { module: module(square(both(slides, ({ pad }) => pad)), square(more as [number, number])), value: code`${SELF}(${0})` }
  // All of it, with rows behind where the text wants more than there are: their only value is the bias.
  const whole = slides.map((s, d) => (sizes[d]![0] - 1) * s.stride + reach(s))
  const behind = slides.map((s, d) => Math.max(0, s.pad + sizes[d]![1] - whole[d]!))
  const [down, along] = slides.map((s, d) => `${s.pad}:${s.pad + sizes[d]![1]}`)
  return { module: module(0, square(behind as [number, number])), value: code`${SELF}(${0})[:, :, ${rangeOf(down!)}, ${rangeOf(along!)}]` }
}

const rangeOf = (text: string) => ({ text, hint: 'part' })

/** nn.Linear of what is flattened. */
const fc: Row = (layer) => {
  const { shapes, shape, attributes } = layer
  const [from] = shapes as [Layer['shape']]
  const axis = shape.length - 1
  const inputs = from.slice(axis).reduce<number>((product, dim) => product * (dim as number), 1)
  const sizes: Code = code`${literal(inputs, 'in_features')}, ${literal(numberOf(layer, 'out', 1), 'out')}${
    option('bias', layer.has('bias'), true)
  }`
  const x: Code = from.length === shape.length ? [0]
    : from.length < shape.length ? code`${0}.unsqueeze(1)` : code`torch.flatten(${0}, ${literal(axis, 'axis')})`
  return {
    module: attributes['transpose'] === true ? code`TransposedLinear(${sizes})` : code`nn.Linear(${sizes})`,
    value: code`${SELF}(${x})`,
  }
}

/** A value without a batch is one as it stands. */
export const batched = (layer: Layer): Code => [option('batched', isBatched(layer.shapes[0]!), true)]

export const convolutionRows: ReadonlyMap<string, Row> = new Map([['conv', conv], ['deconv', deconv], ['fc', fc]])
