import type { OnnxNode } from '../node.ts'
import { type Comparison, type Constant, lazyConstant, type Tensor } from '../value.ts'
import { foldElements } from './activation.ts'
import { fold, joined } from './arithmetic.ts'
import { above, isSame } from './mask.ts'
import { numberIn } from './operand.ts'
import type { OnnxOperator } from './operator.ts'

/*
 * Comparisons of what the net computes are 1 or 0 by layers of the language, to the last bit, and pass on no gradient: of x > 0 what is
 * positive is cut off at 1, grown beyond 1 and cut off again. What is chosen by them is written by its name where it has one:
 * where(x > 0, x, 0.2 x) is leaky_relu.
 */

/** The smallest normal number of float32 times this is above 1. */
const GROWTH = 1e38
/** The largest number of float32. */
const LARGEST = 3.4028234663852886e38
const INNER = { main: false } as const

/** 1 where a > b, else 0. */
function isMore(node: OnnxNode, a: Tensor | number, b: Tensor | number, dims: readonly number[]): Tensor {
  const difference = b === 0 && typeof a !== 'number' ? a : node.emit('sub', [a, b], {}, dims, INNER)
  // relu lets no gradient through at 0, however much it has grown.
  const positive = node.emit('relu', [difference], {}, dims, INNER)
  const grown = node.emit('mul', [node.emit('min', [positive, 1], {}, dims, INNER), GROWTH], {}, dims, INNER)
  return node.emit('min', [grown, 1], {}, dims, { type: 'bool' })
}

const isLess = (node: OnnxNode, mask: Tensor): Tensor => node.emit('sub', [1, mask], {}, mask.dims, { ...INNER, type: 'bool' })

/** Greater (`turned`: Less), or with equality. */
function compare(turned: boolean, equal: boolean): (node: OnnxNode) => void {
  return (node) => {
    const { operands: [a, b], dims } = joined(node)
    const [more, less] = turned ? [1, 0] : [0, 1]
    const [x, y] = turned ? [b!, a!] : [a!, b!]
    giveMask(node, equal ? isLess(node, isMore(node, y, x, dims)) : isMore(node, x, y, dims), {
      more: node.value(more),
      less: node.value(less),
      equal,
    })
  }
}

function giveMask(node: OnnxNode, mask: Tensor, comparison: Comparison): void {
  node.net.comparisons.set(mask.name, comparison)
  node.give(mask)
}

/** Neither is more than the other. */
function equality(node: OnnxNode): void {
  const { operands: [a, b], dims } = joined(node)
  const apart = node.emit('add', [isMore(node, a!, b!, dims), isMore(node, b!, a!, dims)], {}, dims, INNER)
  node.give(isLess(node, apart))
}

function not(node: OnnxNode): void {
  const mask = node.tensor(0)
  const known = node.net.comparisons.get(mask.name)
  const turned = isLess(node, mask)
  if (known) giveMask(node, turned, { more: known.less, less: known.more, equal: !known.equal })
  else node.give(turned)
}

/** And, Or, Xor of truths. */
const truths = (op: 'mul' | 'max' | 'sub') => (node: OnnxNode): void => {
  const { operands, dims } = joined(node)
  const both = node.emit(op, operands, {}, dims, { type: 'bool', main: op !== 'sub' })
  node.give(op === 'sub' ? node.emit('abs', [both], {}, dims, { type: 'bool' }) : both)
}

function sign(node: OnnxNode): void {
  const x = node.tensor(0)
  node.give(node.emit('sub', [isMore(node, x, 0, x.dims), isMore(node, node.emit('neg', [x], {}, x.dims, INNER), 0, x.dims)], {}, x.dims))
}

/** What a choice between two values by a comparison is called. */
function named(node: OnnxNode, { more, less, equal }: Comparison, yes: Tensor | Constant, no: Tensor | Constant): Tensor | undefined {
  for (const [op, a, b] of [['max', yes, no], ['min', no, yes]] as const) {
    if (!isSame(a, more) || !isSame(b, less)) continue
    const { operands, dims } = joined(node, [yes, no])
    return node.emit(op, operands, {}, dims)
  }
  const bound = less.kind === 'constant' ? numberIn(less) : undefined
  if (more.kind !== 'tensor' || bound === undefined || !isSame(yes, more)) return undefined
  if (no.kind === 'constant') return numberIn(no) === 0 && (bound === 0 || !equal) ? above(node, more, bound) : undefined
  // What is not positive, times a slope.
  const made = bound === 0 ? node.net.layers.find(({ output }) => output === no.name) : undefined
  const slope = made?.op === 'mul' && made.inputs.includes(more.name) ? made.inputs.find((input) => typeof input === 'number') : undefined
  return typeof slope === 'number' ? node.emit('leaky_relu', [more], { slope }, more.dims) : undefined
}

/** One of two values, element by element: by its name, else `where`. */
export function choose(node: OnnxNode): void {
  const [condition, yes, no] = [node.value(0), node.value(1), node.value(2)]
  const known = condition.kind === 'tensor' ? node.net.comparisons.get(condition.name) : undefined
  const by = known && (named(node, known, yes, no) ?? named(node, { more: known.less, less: known.more, equal: !known.equal }, no, yes))
  if (by) return node.give(by)
  const mask = condition.kind === 'constant' ? { ...condition, learned: false } : untruthed(node, condition)
  const { operands, dims } = joined(node, [mask, finite(node, yes), finite(node, no)])
  node.give(node.emit('where', operands, {}, dims))
}

/** What is cast to a truth chooses by itself. */
function untruthed(node: OnnxNode, mask: Tensor): Tensor {
  const [x, ...rest] = node.net.layers.find(({ op, output }) => op === 'where' && output === mask.name)?.inputs ?? []
  return typeof x === 'string' && rest[0] === 1 && rest[1] === 0 ? { ...mask, name: x } : mask
}

/** A side as the language writes it, which has no number for infinity. */
function finite(node: OnnxNode, side: Tensor | Constant): Tensor | Constant {
  if (side.kind === 'tensor' || side.dimensions || side.values().every(Number.isFinite)) return side
  if (side.values().some(Number.isNaN)) return node.refuse('it chooses NaN', 'take a number in the model')
  node.noteOnce('differs', 'an infinity that Where chooses is the largest number: softmax of nothing else gives equal shares, not NaN')
  return lazyConstant(side, side.shape, () => Float32Array.from(side.values(), (v) => Math.max(-LARGEST, Math.min(LARGEST, v))))
}

export const comparisonOperators: readonly OnnxOperator[] = [
  { op: 'Equal', map: equality, fold: fold('Equal', (a, b) => Number(a === b), true) },
  { op: 'Less', map: compare(true, false), fold: fold('Less', (a, b) => Number(a < b), true) },
  { op: 'LessOrEqual', map: compare(true, true), fold: fold('LessOrEqual', (a, b) => Number(a <= b), true) },
  { op: 'Greater', map: compare(false, false), fold: fold('Greater', (a, b) => Number(a > b), true) },
  { op: 'GreaterOrEqual', map: compare(false, true), fold: fold('GreaterOrEqual', (a, b) => Number(a >= b), true) },
  { op: 'And', map: truths('mul'), fold: fold('And', (a, b) => Number(a !== 0 && b !== 0), true) },
  { op: 'Or', map: truths('max'), fold: fold('Or', (a, b) => Number(a !== 0 || b !== 0), true) },
  { op: 'Xor', map: truths('sub'), fold: fold('Xor', (a, b) => Number((a !== 0) !== (b !== 0)), true) },
  { op: 'Not', map: not, fold: (node) => foldElements(node, (x) => Number(x === 0)) },
  { op: 'Sign', map: sign, fold: (node) => foldElements(node, Math.sign) },
]
