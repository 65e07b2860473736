import { fromEnd } from '../../../compiler/ops/elementwise.ts'
import { allOperands } from '../../../compiler/ops/operands.ts'
import type { Shape } from '../../../bundle/format.ts'
import { type Layer, numberOf, type Row } from '../layer.ts'
import { type Code, code, literal, option } from '../python-code.ts'

/** All operands in the order of the call, with the factor of each. */
function operands(layer: Layer, factors: readonly number[] = []): Code[] {
  return allOperands(layer.node).map((operand, at) => {
    const factor = factors[at] ?? 1
    if ('number' in operand) return [literal(operand.number * factor, `number${at}`)]
    return factor === 1 ? [operand.input] : code`${literal(factor, `factor${at}`)} * ${operand.input}`
  })
}

const joined = (between: string, all: readonly Code[]): Code => all.flatMap((one, i) => (i === 0 ? one : [between, ...one]))

const add: Row = (layer) => ({ value: joined(' + ', operands(layer, (layer.attributes['coeff'] as readonly number[] | undefined) ?? [])) })
const between = (operator: string): Row => (layer) => ({ value: joined(operator, operands(layer)) })
const mean: Row = (layer) => {
  const all = operands(layer)
  return { value: code`(${joined(' + ', all)}) / ${String(all.length)}` }
}
const extreme = (name: string): Row => (layer) => ({ value: code`${name}(${joined(', ', operands(layer))})` })

const where: Row = (layer) => ({ value: code`torch.where(${0} != 0, ${joined(', ', operands(layer).slice(1))})` })

const axisOf = ({ attributes, shapes }: Layer, otherwise = 1): number =>
  fromEnd(numberOf({ attributes }, 'axis', otherwise), shapes[0]!.length)

const concat: Row = (layer) => ({
  value: code`torch.cat([${joined(', ', layer.shapes.map((_, i): Code => [i]))}], ${literal(axisOf(layer), 'axis')})`,
})

/** Axes behind the batch, or all. */
const reshaped = (shape: Shape): Code =>
  shape[0] === 'n' ? code`${0}.reshape(${0}.shape[0]${shape.slice(1).map((dim) => [', ', literal(dim as number, 'size')]).flat()})`
    : code`${0}.reshape(${shape.flatMap((dim, i) => [...(i > 0 ? [', '] : []), literal(dim as number, 'size')])})`

const flatten: Row = (layer) => {
  const rank = layer.shapes[0]!.length
  const [from, end] = [axisOf(layer), fromEnd(numberOf(layer, 'end', -1), rank)]
  if (from >= rank) return { value: code`${0}.unsqueeze(1)` }
  return { value: code`torch.flatten(${0}, ${literal(from, 'axis')}${option('end_dim', end === rank - 1 ? -1 : end, -1)})` }
}

const slice: Row = (layer) => {
  const axis = axisOf(layer)
  const length = layer.shapes[0]![axis] as number
  const place = (name: string, otherwise: number): number => fromEnd(numberOf(layer, name, otherwise), length)
  return {
    value: code`${0}[${':, '.repeat(axis)}${literal(place('from', 0), 'from')}:${literal(place('to', length), 'to')}]`,
  }
}

const transpose: Row = (layer) => {
  const order = (layer.attributes['order'] as readonly number[]).map((axis) => fromEnd(axis, layer.shape.length))
  return { value: code`${0}.permute(${literal(order, 'order')})` }
}

export const arithmeticRows: ReadonlyMap<string, Row> = new Map([
  ['add', add],
  ['sub', between(' - ')],
  ['mul', between(' * ')],
  ['div', between(' / ')],
  ['mean', mean],
  ['max', extreme('largest')],
  ['min', extreme('smallest')],
  ['where', where],
  ['concat', concat],
  ['flatten', flatten],
  ['reshape', (layer) => ({ value: reshaped(layer.shape) })],
  ['slice', slice],
  ['transpose', transpose],
])
