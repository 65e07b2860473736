import type { Shape } from '../../../bundle/format.ts'
import type { Value } from '../../../compiler/graph/graph.ts'
import { allOperands } from '../../../compiler/ops/operands.ts'
import type { CaffeBlob, CaffeParams } from '../model.ts'
import { eltwise, type Layer, power, reshapeTo, type Row } from '../layer.ts'

/** An operand that is a tensor, with its factor in a sum. */
interface Operand {
  readonly value: Value
  readonly input: number
  readonly factor: number
}

interface Operands {
  readonly tensors: readonly Operand[]
  /** Numbers of the text, times their factors. */
  readonly numbers: readonly number[]
}

function operandsOf(layer: Layer, factors: readonly number[] = []): Operands {
  const all = allOperands(layer.node).map((operand, at) => ({ ...operand, factor: factors[at] ?? 1 }))
  return {
    tensors: all.flatMap((operand) => ('number' in operand ? [] : [operand])),
    numbers: all.flatMap((operand) => ('number' in operand ? [operand.number * operand.factor] : [])),
  }
}

const isSame = (a: Shape, b: Shape): boolean => a.join() === b.join()

/** The blob of an operand in the shape of the output: repeated along axes where it has 1. */
function widened(layer: Layer, { value, input }: Operand): string {
  const { shape } = layer
  const blob = layer.input(input)
  if (value.shape.length !== shape.length) return blob
  return shape.reduce<string>((x, dim, axis) => {
    if (dim === value.shape[axis] || axis === 0) return x
    return layer.add(`operand${input}.axis${axis}`, 'Tile', [x], { tile_param: { axis, tiles: dim as number } })
  }, blob)
}

/** The axes at which an operand says something, as Scale and Bias take it: others are 1, in front and behind. None where it is one number. */
function rangeOf(operand: Shape, shape: Shape): readonly [axis: number, dims: Shape] | undefined {
  const wide = [...new Array<number>(shape.length - operand.length).fill(1), ...operand]
  const same = wide.map((dim, d) => dim === shape[d] && !(dim === 1))
  const first = same.indexOf(true)
  if (first < 0) return [1, []]
  const last = same.lastIndexOf(true)
  const dims = wide.slice(first, last + 1)
  return dims.every((dim, i) => dim === shape[first + i]) ? [first, dims] : undefined
}

/** Scale (times) or Bias (plus) by an operand that is the same along some axes. */
const LAID = { times: ['Scale', 'scale_param'], plus: ['Bias', 'bias_param'] } as const

/** What a sum or a product is of, one after the other: tensors of the output's shape first, then those laid along axes of it. */
function laid(layer: Layer, how: 'times' | 'plus', tensors: readonly Operand[], after: CaffeParams | undefined): void {
  const isWide = ({ value }: Operand): boolean => layer.learned(value) === undefined && isSame(value.shape, layer.shape)
  const wide = tensors.filter(isWide)
  const first = wide.length > 0 ? wide : tensors.filter(({ value }) => layer.learned(value) === undefined).slice(0, 1)
  if (first.length === 0) return layer.fail('all that it joins are learned tensors', 'make one parameter of them')
  const others = tensors.filter((operand) => !first.includes(operand))
  const steps: Step[] = []
  if (first.length > 1) {
    const operation = how === 'times' ? eltwise('PROD') : eltwise('SUM', first.map(({ factor }) => factor))
    steps.push({ type: 'Eltwise', bottoms: first.map(({ input }) => layer.input(input)), params: operation })
  }
  const start = first.length > 1 ? '' : scaledBy(layer, widened(layer, first[0]!), first[0]!)
  for (const operand of others) steps.push(layStep(layer, how, operand))
  if (after) steps.push({ type: 'Power', params: after })
  run(layer, start, steps)
}

interface Step {
  readonly type: string
  /** Besides the value so far; in its place for the first of all. */
  readonly bottoms?: readonly string[]
  readonly params: CaffeParams
  readonly blobs?: readonly CaffeBlob[]
}

function run(layer: Layer, start: string, steps: readonly Step[]): void {
  if (steps.length === 0) return layer.same(start)
  steps.reduce((x, { type, bottoms = [], params, blobs = [] }, i) => {
    const read = [...(x === '' ? [] : [x]), ...bottoms]
    if (i < steps.length - 1) return layer.add(`part${i + 1}`, type, read, params, { blobs })
    layer.done(type, read, params, { blobs })
    return ''
  }, start)
}

const scaledBy = (layer: Layer, x: string, { factor, input }: Operand): string =>
  factor === 1 ? x : layer.add(`times${input}`, 'Power', [x], power({ scale: factor }))

function layStep(layer: Layer, how: 'times' | 'plus', operand: Operand): Step {
  const [type, param] = LAID[how]
  const learned = layer.learned(operand.value)
  const range = rangeOf(operand.value.shape, layer.shape)
  const [axis, dims] = range ?? [0, []]
  if (learned && range && dims[0] !== 'n') {
    const values = operand.factor === 1 ? learned.values : () => Float32Array.from(learned.values(), (v) => v * operand.factor)
    const shape = dims as readonly number[]
    return { type, params: { [param]: { axis, num_axes: shape.length } }, blobs: [{ ...learned, shape, values }] }
  }
  if (!learned && range && axis === 0) {
    const narrow = scaledBy(layer, layer.input(operand.input), operand)
    const y = isSame(dims, operand.value.shape) ? narrow : layer.add(`operand${operand.input}`, 'Reshape', [narrow], reshapeTo(dims))
    return { type, bottoms: [y], params: { [param]: { axis: 0 } } }
  }
  const y = scaledBy(layer, widened(layer, operand), operand)
  return { type: 'Eltwise', bottoms: [y], params: how === 'times' ? eltwise('PROD') : eltwise('SUM') }
}

function sum(layer: Layer, factors: readonly number[]): void {
  const { tensors, numbers } = operandsOf(layer, factors)
  const shift = numbers.reduce((a, b) => a + b, 0)
  const [only] = tensors
  if (tensors.length > 1) return laid(layer, 'plus', tensors, shift === 0 ? undefined : power({ shift }))
  layer.done(
    'Power',
    [layer.input(only!.input)],
    power({ ...(only!.factor !== 1 && { scale: only!.factor }), ...(shift !== 0 && { shift }) }),
  )
}

const coeffOf = (layer: Layer): readonly number[] => (layer.attributes['coeff'] as readonly number[] | undefined) ?? []
const mean: Row = (layer) => {
  const count = allOperands(layer.node).length
  sum(layer, new Array<number>(count).fill(1 / count))
}

const mul: Row = (layer) => {
  const { tensors, numbers } = operandsOf(layer)
  const scale = numbers.reduce((a, b) => a * b, 1)
  if (tensors.length > 1) laid(layer, 'times', tensors, scale === 1 ? undefined : power({ scale }))
  else layer.done('Power', [layer.input()], power({ scale }))
}

/** a / b = a b^-1; numbers in either place. */
const div: Row = (layer) => {
  const [a, b] = allOperands(layer.node) as [ReturnType<typeof allOperands>[number], ReturnType<typeof allOperands>[number]]
  if ('number' in b) return layer.done('Power', [layer.input()], power({ scale: 1 / b.number }))
  if ('number' in a) {
    const inverse = layer.add('inverse', 'Power', [layer.input()], power({ power: -1 }))
    return layer.done('Power', [inverse], power({ scale: a.number }))
  }
  const inverse = layer.add('inverse', 'Power', [widened(layer, { ...b, factor: 1 })], power({ power: -1 }))
  layer.done('Eltwise', [widened(layer, { ...a, factor: 1 }), inverse], eltwise('PROD'))
}

/** The larger of tensors; of a number c: relu(x - c) + c. The smaller are the larger of what is negative. */
const extreme = (sign: 1 | -1): Row => (layer) => {
  const { tensors, numbers } = operandsOf(layer)
  const bound = numbers.length === 0 ? undefined : Math.max(...numbers.map((number) => sign * number))
  const turned = tensors.map((operand) => {
    const x = widened(layer, operand)
    return sign === 1 ? x : layer.add(`negative${operand.input}`, 'Power', [x], power({ scale: -1 }))
  })
  const isPlain = sign === 1 && bound === undefined
  if (isPlain && turned.length > 1) return layer.done('Eltwise', turned, eltwise('MAX'))
  const largest = turned.length === 1 ? turned[0]! : layer.add('largest', 'Eltwise', turned, eltwise('MAX'))
  if (bound === undefined) return layer.done('Power', [largest], power({ scale: sign }))
  const above = layer.add('above', 'ReLU', [layer.add('from_bound', 'Power', [largest], power({ shift: -bound }))])
  layer.done('Power', [above], power({ ...(sign === -1 && { scale: -1 }), shift: sign * bound }))
}

const along = (layer: Layer): number => {
  const axis = (layer.attributes['axis'] as number | undefined) ?? 1
  return axis < 0 ? axis + layer.shapes[0]!.length : axis
}

const concat: Row = (layer) => layer.done('Concat', layer.shapes.map((_, i) => layer.input(i)), { concat_param: { axis: along(layer) } })

const flatten: Row = (layer) => {
  const [from] = layer.shapes
  if (layer.shape.length === 2 && from![0] === 'n') layer.done('Flatten', [layer.input()])
  else reshape(layer)
}

const reshape: Row = (layer) => layer.done('Reshape', [layer.input()], reshapeTo(layer.shape))

const slice: Row = (layer) => {
  const axis = along(layer)
  const size = layer.shapes[0]![axis] as number
  const place = (name: string, otherwise: number): number => {
    const given = (layer.attributes[name] as number | undefined) ?? otherwise
    return given < 0 ? given + size : given
  }
  layer.cut('', layer.input(), axis, size, [place('from', 0), place('to', size)], true)
}

export const joiningRows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['add', (layer) => sum(layer, coeffOf(layer))],
  ['sub', (layer) => sum(layer, [1, -1])],
  ['mean', mean],
  ['mul', mul],
  ['div', div],
  ['max', extreme(1)],
  ['min', extreme(-1)],
  ['concat', concat],
  ['flatten', flatten],
  ['reshape', reshape],
  ['slice', slice],
])
