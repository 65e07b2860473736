import type { Expression } from './expression.ts'
import type { Axis, Index } from './affine.ts'
import type { Equation, Store } from './equation.ts'
import { onceByNode, onceByNodes } from './once-by-node.ts'
import { mapValues, renewReductions, type Rewriting, substitute, topDown } from './rewrite.ts'

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
export const inlineProducer = (producer: Equation, consumer: Equation): Equation => inlined('', producer, consumer)

/** Results by producer and consumer: what is fused for one target often is for another. */
const inlined = onceByNodes((_, producer: Equation, consumer: Equation) => inlinedAnew(producer, consumer))

function inlinedAnew(producer: Equation, consumer: Equation): Equation {
  return {
    // Each value takes a copy of its own: their sums are not one sum.
    ...mapValues(consumer, (value) => producerForLoads(producer)(value)),
    name: joinedName(producer.name, consumer.name),
    layers: [...new Set([...producer.layers, ...consumer.layers])],
    ...(producer.images && { images: producer.images }),
    ...(consumer.sums && { sums: { ...consumer.sums, terms: consumer.sums.terms.map((term) => producerForLoads(producer)(term)) } }),
  }
}

/** The consumer's values with the producer's in the place of its loads. Loads of one element become one value. */
function producerForLoads({ stores: [store] }: Equation): Rewriting {
  const byPlace = new Map<string, Expression>()
  return topDown((e) => {
    if (e.kind !== 'load' || e.tensor !== store!.tensor) return undefined
    const key = e.at.map((at) => at.key).join(';')
    const result = byPlace.get(key) ?? storedAt(store!, e.at)
    byPlace.set(key, result)
    return result
  })
}

/** The value that is stored at a place, with reduced axes of its own, since it may stand in one tree more than once. */
export function storedAt(store: Store, at: readonly Index[]): Expression {
  const map = new Map<Axis, Index>()
  store.at.forEach((position, i) => {
    const atom = position.terms[0]?.atom
    if (atom?.kind === 'axis') map.set(atom.axis, at[i]!)
  })
  return substitute(renewReductions(store.value), map)
}

/** Whether an equation writes each element of its one tensor exactly once, at the point of the same number. */
export const coversItsTensor = onceByNode(({ stores, axes }: Equation): boolean => {
  const store = stores[0]
  if (!store || stores.length > 1) return false
  const used: Axis[] = []
  return store.at.every(({ constant, terms }, i) => {
    const extent = store.tensor.shape[i]
    if (terms.length === 0 && constant === 0 && extent === 1) return true
    const term = terms[0]
    if (!term || terms.length > 1 || constant !== 0 || term.coefficient !== 1) return false
    if (term.atom.kind !== 'axis' || term.atom.axis.extent !== extent || used.includes(term.atom.axis)) return false
    used.push(term.atom.axis)
    return true
  }) && axes.every((a) => used.includes(a))
})
