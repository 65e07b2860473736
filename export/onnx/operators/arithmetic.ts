import { allOperands } from '../../../compiler/ops/operands.ts'
import { type Layer, reshapeTo, type Row } from '../layer.ts'

/** Names of all operands in the order of the call; numbers are initializers. `factors`: what each is multiplied by. */
function operands(layer: Layer, factors: readonly number[] = []): string[] {
  return allOperands(layer.node).map((operand, at) => {
    const factor = factors[at] ?? 1
    if ('number' in operand) return layer.numbers(`number${at}`, [operand.number * factor])
    const x = layer.input(operand.input)
    return factor === 1 ? x : layer.add(`times${at}`, 'Mul', [x, layer.numbers(`factor${at}`, [factor])])
  })
}

/** The type of truths. */
const BOOL = 9

/** Two by two, for operators of two operands. */
function chain(layer: Layer, op: string, all: readonly string[]): void {
  const last = all.length - 1
  const before = all.slice(1, last).reduce((left, right, i) => layer.add(`part${i + 1}`, op, [left, right]), all[0]!)
  layer.done(op, [before, all[last]!])
}

const add: Row = (layer) => {
  const all = operands(layer, (layer.attributes['coeff'] as readonly number[] | undefined) ?? [])
  layer.done(all.length === 2 ? 'Add' : 'Sum', all)
}

const many = (op: string): Row => (layer) => layer.done(op, operands(layer))
const mul: Row = (layer) => chain(layer, 'Mul', operands(layer))

const where: Row = (layer) => {
  const [mask, yes, no] = operands(layer)
  layer.done('Where', [layer.add('mask', 'Cast', [mask!], { to: BOOL }), yes!, no!])
}

const concat: Row = (layer) => {
  const axis = along(layer)
  layer.done('Concat', layer.shapes.map((_, i) => layer.input(i)), { axis })
}

const along = (layer: Layer): number => {
  const axis = (layer.attributes['axis'] as number | undefined) ?? 1
  return axis < 0 ? axis + layer.shapes[0]!.length : axis
}

/** Flatten joins all behind the batch; other axes are joined by Reshape. */
const flatten: Row = (layer) => {
  const [shape] = layer.shapes
  if (shape![0] === 'n' && shape!.length > 2 && layer.shape.length === 2) return layer.done('Flatten', [layer.input()], { axis: 1 })
  reshape(layer)
}

const reshape: Row = (layer) => layer.done('Reshape', [layer.input(), layer.integers('shape', reshapeTo(layer.shape))])

const slice: Row = (layer) => {
  const axis = along(layer)
  const length = layer.shapes[0]![axis] as number
  const place = (name: string, otherwise: number): number => {
    const given = (layer.attributes[name] as number | undefined) ?? otherwise
    return given < 0 ? given + length : given
  }
  layer.done('Slice', [
    layer.input(),
    layer.integers('from', [place('from', 0)]),
    layer.integers('to', [place('to', length)]),
    layer.integers('axis', [axis]),
  ])
}

const transpose: Row = (layer) => {
  const rank = layer.shape.length
  layer.done('Transpose', [layer.input()], {
    perm: (layer.attributes['order'] as readonly number[]).map((axis) => (axis < 0 ? axis + rank : axis)),
  })
}

export const arithmeticRows: ReadonlyMap<string, Row> = new Map([
  ['add', add],
  ['mean', many('Mean')],
  ['max', many('Max')],
  ['min', many('Min')],
  ['sub', many('Sub')],
  ['div', many('Div')],
  ['mul', mul],
  ['where', where],
  ['concat', concat],
  ['flatten', flatten],
  ['reshape', reshape],
  ['slice', slice],
  ['transpose', transpose],
])
