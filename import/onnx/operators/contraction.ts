import { showDimensions } from '../dimension.ts'
import { acrossBatch, type OnnxNode } from '../node.ts'
import { type Constant, parameterOf, rankOf, shapeOf, type Tensor } from '../value.ts'
import type { OnnxOperator } from './operator.ts'
import { withinSample } from './operand.ts'
import { placed, rearranged, reshaped, stepsOf } from './rearrange.ts'

/*
 * Sums of products of values whose axes have names: each is brought to the axes of the result and of the sum, with ones where it has none; they are
 * multiplied and summed up. The compiler makes one product of matrices of it: what stands between is never made.
 */

/** A value, or a constant that is the same for all samples, and the names of the axes of a sample. */
export interface Factor {
  readonly value: Tensor | Constant
  readonly axes: readonly string[]
}

const sizesOf = (value: Tensor | Constant): readonly number[] => (value.kind === 'tensor' ? value.dims : value.shape)

/** The sum of products of one or two factors over all axes that are not in `out`. */
export function contract(node: OnnxNode, factors: readonly Factor[], out: readonly string[]): Tensor {
  const sizes = new Map<string, number>()
  for (const { value, axes } of factors) {
    for (const [d, name] of axes.entries()) {
      const [known, size] = [sizes.get(name) ?? 1, sizesOf(value)[d]!]
      if (known !== 1 && size !== 1 && known !== size) return node.refuse(`an axis of ${known} and one of ${size} do not go together`)
      sizes.set(name, Math.max(known, size))
    }
  }
  const summed = [...sizes.keys()].filter((name) => !out.includes(name))
  const all = [...out, ...summed]
  const whole = all.map((name) => sizes.get(name)!)
  const arranged = factors.map((factor) => arrangedAs(node, factor, all, summed.length > 0 || factors.length > 1))
  const products = arranged.length === 1 ? arranged[0]! : node.emit('mul', arranged, {}, whole, { main: summed.length === 0 })
  if (summed.length === 0) return products
  const axes = summed.map((_, i) => out.length + i + 1)
  return node.emit('reduce_sum', [products], { axes, keep: false }, whole.slice(0, out.length))
}

/** A value with its axes in the order of `all`, and ones for those that it has not. The numbers of a constant are put in that order. */
function arrangedAs(node: OnnxNode, { value, axes }: Factor, all: readonly string[], inner: boolean): Tensor {
  const order = all.filter((name) => axes.includes(name)).map((name) => axes.indexOf(name))
  const dims = order.map((d) => sizesOf(value)[d]!)
  const padded = all.map((name) => (axes.includes(name) ? sizesOf(value)[axes.indexOf(name)]! : 1))
  if (value.kind === 'constant') {
    const steps = stepsOf(value.shape)
    const c = rearranged(value, padded, placed(dims, order.map((d) => steps[d]!)))
    return node.emit('parameter', [], { dims: padded, ...(!c.learned && { lr_mult: 0 }) }, padded, {
      parameters: { weight: parameterOf(c, padded) },
      main: false,
    })
  }
  const isInOrder = order.every((d, i) => d === i)
  const isWhole = dims.length === all.length
  const turned = isInOrder ? value
    : node.emit('transpose', [value], { order: [0, ...order.map((d) => d + 1)] }, dims, { main: !inner && isWhole })
  return isWhole ? turned : node.emit('reshape', [turned], { dims: padded }, padded, { main: false })
}

/** One matrix for each sample, and for each of the axes in front, on both sides; a constant has one for all, or one for each of these axes. */
export function productOf(node: OnnxNode, a: Tensor | Constant, b: Tensor | Constant): Tensor {
  const x = a.kind === 'tensor' ? a : b as Tensor
  const [left, right] = [a, b].map((value) => (value.kind === 'tensor' ? value : reshaped(value, withinSample(value, x) ?? value.shape)))
  const rank = x.dims.length
  if (rank < 2 || sizesOf(left!).length !== rank || sizesOf(right!).length !== rank)
    return node.refuse(
      `it multiplies ${showDimensions(shapeOf(a))} by ${showDimensions(shapeOf(b))}, so that samples meet one another`,
      acrossBatch('').mend,
    )
  const [inner, other] = [sizesOf(left!)[rank - 1]!, sizesOf(right!)[rank - 2]!]
  if (inner !== other) return node.refuse(`its second operand wants ${other} features, and there are ${inner}`)
  const front = Array.from({ length: rank - 2 }, (_, d) => `front ${d}`)
  const factors = [{ value: left!, axes: [...front, 'row', 'inner'] }, { value: right!, axes: [...front, 'inner', 'column'] }]
  return contract(node, factors, [...front, 'row', 'column'])
}

/** The terms of an equation with letters of no alphabet of theirs in place of `...`: axes that meet from the last on. */
function withoutEllipsis(node: OnnxNode, text: string): { readonly terms: readonly string[]; readonly right: string | undefined } {
  const [left = '', right] = text.split('->')
  const terms = left.split(',')
  if (!text.includes('...') || terms.length !== node.inputs.length) return { terms, right }
  const more = terms.map((term, i) => (term.includes('...') ? node.shape(i).length - term.replace('...', '').length : 0))
  const letters = (count: number): string =>
    String.fromCharCode(...Array.from({ length: Math.max(0, count) }, (_, i) => ALPHA + count - 1 - i))
  const once = [...new Set(left.replaceAll(/[.,]/g, ''))].filter((c) => left.split(c).length === 2).sort().join('')
  return {
    terms: terms.map((term, i) => term.replace('...', letters(more[i]!))),
    right: (right ?? `...${once}`).replace('...', letters(Math.max(...more))),
  }
}

const ALPHA = 0x3b1

/** `bhid,bhjd->bhij`: of values, the first letter of each is the batch; a constant is the same for all samples. */
function einsum(node: OnnxNode): void {
  const text = node.text('equation', '').replaceAll(' ', '')
  const { terms, right } = withoutEllipsis(node, text)
  const WAY = 'cut the net before it with --outputs, or write it with MatMul, Mul and ReduceSum in the model'
  if (terms.length > 2 || terms.length !== node.inputs.length) return node.refuse(`its equation ${text} has ${terms.length} factors`, WAY)
  if ([...terms, right ?? ''].some((term) => new Set(term).size !== term.length))
    return node.refuse(`its equation ${text} takes a diagonal`, WAY)
  const out = right ?? [...new Set(terms.join(''))].filter((c) => terms.join('').split(c).length === 2).sort().join('')
  const values = terms.map((_, i) => node.value(i))
  values.forEach((value, i) => {
    const rank = value.kind === 'tensor' ? rankOf(value) : value.shape.length
    if (rank !== terms[i]!.length) node.refuse(`its equation ${text} names ${terms[i]!.length} axes of ${showDimensions(node.shape(i))}`)
  })
  const x = values.find((value): value is Tensor => value.kind === 'tensor')!
  const batch = x.bare ? '' : terms[values.indexOf(x)]![0]!
  const samplesMeet = !x.bare &&
    (out[0] !== batch || terms.some((term, i) => values[i]!.kind === 'tensor' ? term[0] !== batch : term.includes(batch)))
  if (samplesMeet) return node.refuse(`its equation ${text} does not keep the batch in front of each value`, acrossBatch('').mend)
  const rest = (term: string): string[] => [...(x.bare ? term : term.slice(1))]
  const factors = values.map((value, i): Factor =>
    value.kind === 'tensor' ? { value, axes: rest(terms[i]!) }
      : { value, axes: [...terms[i]!] }
  )
  if (rest(out).length === 0) return node.refuse(`its equation ${text} leaves one number a sample without an axis`, WAY)
  const unknown = rest(out).filter((c) => !factors.some(({ axes }) => axes.includes(c)))
  if (unknown.length > 0) return node.refuse(`its equation ${text} makes an axis ${unknown.join()} of nothing`)
  node.give(contract(node, factors, rest(out)))
}

export const contractionOperators: readonly OnnxOperator[] = [{ op: 'Einsum', map: einsum }]
