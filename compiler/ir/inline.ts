import type { Tensor } from './tensor.ts'
import { type Expression, mapChildren, substitute } from './expression.ts'
import { type Axis, axis, type Index, index } from './affine.ts'
import type { Equation, Store } from './equation.ts'

const MOST_NAMED = 240
const ENDS_NAMED = 3

/** `conv1+bn1+relu_1`; of very many, the first and the last ones. */
export function joinedName(a: string, b: string): string {
  const name = `${a}+${b}`
  if (name.length <= MOST_NAMED) return name
  const parts = name.split('+').filter((part) => part !== '...')
  return parts.length <= 2 * ENDS_NAMED ? name : [...parts.slice(0, ENDS_NAMED), '...', ...parts.slice(-ENDS_NAMED)].join('+')
}

/**
 * Substitutes what `producer` computes for every load of the tensor that it stores. As a prologue, as an epilogue: both are
 * this. A guard around the load stays around what takes its place, so zero padding stays zero after normalization.
 */
export function inlineProducer(producer: Equation, consumer: Equation): Equation {
  const tensor = producer.stores[0]!.tensor
  const stores = consumer.stores.map((s) => ({ ...s, value: replaceLoads(s.value, tensor, producer) }))
  return {
    ...consumer,
    name: joinedName(producer.name, consumer.name),
    layers: [...new Set([...producer.layers, ...consumer.layers])],
    stores,
    ...(consumer.sums && { sums: { ...consumer.sums, terms: consumer.sums.terms.map((term) => replaceLoads(term, tensor, producer)) } }),
  }
}

function replaceLoads(root: Expression, tensor: Tensor, producer: Equation): Expression {
  const byPlace = new Map<string, Expression>()
  const seen = new Map<Expression, Expression>()
  const visit = (e: Expression): Expression => {
    const known = seen.get(e)
    if (known) return known
    let result: Expression
    if (e.kind === 'load' && e.tensor === tensor) {
      const key = e.at.map((at) => at.key).join(';')
      result = byPlace.get(key) ?? producedAt(producer, e.at)
      byPlace.set(key, result)
    } else result = mapChildren(e, visit)
    seen.set(e, result)
    return result
  }
  return visit(root)
}

/** The producer's value at a point, with reduced axes of its own, since it may stand in one tree more than once. */
const producedAt = (producer: Equation, at: readonly Index[]): Expression => storedAt(producer.stores[0]!, at)

/** What is stored at a place. */
export function storedAt(store: Store, at: readonly Index[]): Expression {
  const map = new Map<Axis, Index>()
  store.at.forEach((position, i) => {
    const atom = position.terms[0]?.atom
    if (atom?.kind === 'axis') map.set(atom.axis, at[i]!)
  })
  return substitute(renewReductions(store.value), map)
}

function renewReductions(root: Expression): Expression {
  const seen = new Map<Expression, Expression>()
  const visit = (e: Expression): Expression => {
    const known = seen.get(e)
    if (known) return known
    let result = mapChildren(e, visit)
    if (result.kind === 'reduce') {
      const fresh = new Map(result.axes.map((a) => [a, axis(a.name, a.extent)]))
      result = { ...result, axes: [...fresh.values()], body: substitute(result.body, new Map([...fresh].map(([a, b]) => [a, index(b)]))) }
    }
    seen.set(e, result)
    return result
  }
  return visit(root)
}

/** Whether an equation writes each element of its one tensor exactly once, at the point of the same number. */
export function coversItsTensor(e: Equation): boolean {
  const [store, ...others] = e.stores
  if (!store || others.length > 0) return false
  const used = new Set<Axis>()
  for (const [i, at] of store.at.entries()) {
    const extent = store.tensor.shape[i]
    if (at.terms.length === 0 && at.constant === 0 && extent === 1) continue
    const [term, ...more] = at.terms
    if (!term || more.length > 0 || at.constant !== 0 || term.coefficient !== 1) return false
    if (term.atom.kind !== 'axis' || term.atom.axis.extent !== extent || used.has(term.atom.axis)) return false
    used.add(term.atom.axis)
  }
  return e.axes.every((a) => used.has(a))
}
