/**
 * Rewriting of expressions. Each function here gives a change of trees that remembers, for as long as it is held, what each node became:
 * a node that stands in a tree twice, or in several trees, is rewritten once and stays shared. Nodes that do not
 * change are not copied, but for `mapIndices`.
 */
import { type Axis, axis, index, type Index, type IndexLike, substitute as substituteIndex } from './affine.ts'
import { freeAxes } from './analysis.ts'
import type { Equation } from './equation.ts'
import type { Tensor } from './tensor.ts'
import { type Expression, mapChildren } from './expression.ts'
import { guardOf, loadAt, reductionOf, withIndices } from './expression-node.ts'

export type Rewriting = (root: Expression) => Expression

/** Replaces each node for which `rule` gives another one, and does not look into that; of all others it rewrites the children. */
export function topDown(rule: (node: Expression) => Expression | undefined): Rewriting {
  const done = new Map<Expression, Expression>()
  const visit = (node: Expression): Expression => {
    const known = done.get(node)
    if (known) return known
    const result = rule(node) ?? mapChildren(node, visit)
    done.set(node, result)
    return result
  }
  return visit
}

/** Rewrites children first, then hands the node with its new children to `rule`, which may give it back as it is. */
export function bottomUp(rule: (node: Expression) => Expression): Rewriting {
  const done = new Map<Expression, Expression>()
  const visit = (node: Expression): Expression => {
    const known = done.get(node)
    if (known) return known
    const result = rule(mapChildren(node, visit))
    done.set(node, result)
    return result
  }
  return visit
}

/**
 * Changes every index: of loads, of positions and random numbers, of guards. Nodes with an index are copied even where it stays the same: what
 * two trees share is computed once for both, and this must not depend on which axes are replaced.
 */
export const mapIndices = (change: (at: Index) => Index): Rewriting => bottomUp((node) => withIndices(node, change))

/** Replaces axes everywhere in a tree. The reduced axes of the tree itself are never in the map. */
export const substitute = (e: Expression, map: ReadonlyMap<Axis, IndexLike>): Expression => mapIndices((at) => substituteIndex(at, map))(e)

/** The same for reduced axes in the body of their sum: what does not change with them stays the same node, so that sums which several values share stay one. */
export function substituteReduced(body: Expression, map: ReadonlyMap<Axis, IndexLike>): Expression {
  const change = (at: Index): Index => substituteIndex(at, map)
  const replaced = [...map.keys()]
  const visit = topDown((node) => {
    const free = freeAxes(node)
    if (!replaced.some((a) => free.has(a))) return node
    const made = withIndices(node, change)
    if (made.kind === 'guard') return guardOf(made.guards, visit(made.value), made.otherwise)
    return made === node ? undefined : made
  })
  return visit(body)
}

/** Replaces one node of a tree, wherever it stands. */
export const replaceNode = (e: Expression, node: Expression, by: Expression): Expression => topDown((x) => (x === node ? by : undefined))(e)

/** The same values with reduced axes of their own, so that they may stand in one tree more than once. */
export const renewReductions = (e: Expression): Expression =>
  bottomUp((node) => {
    if (node.kind !== 'reduce') return node
    const fresh = node.axes.map((a) => axis(a.name, a.extent))
    const map = new Map(node.axes.map((a, i) => [a, index(fresh[i]!)]))
    return reductionOf(node.combine, fresh, substituteReduced(node.body, map))
  })(e)

/** The equation with other values in its stores. */
export function mapValues(e: Equation, change: Rewriting): Equation {
  const stores = mapShared(e.stores, (s) => {
    const value = change(s.value)
    return value === s.value ? s : { ...s, value }
  })
  return stores === e.stores ? e : { ...e, stores }
}

/** The equation with other tensors in the place of those that it loads and stores. Not for what gathers statistics. */
export function mapTensors(e: Equation, change: (t: Tensor) => Tensor): Equation {
  const values = bottomUp((node) => {
    const t = node.kind === 'load' ? change(node.tensor) : undefined
    return node.kind === 'load' && t !== node.tensor ? loadAt(t!, node.at) : node
  })
  const { stores } = mapValues(e, values)
  return { ...e, stores: mapShared(stores, (s) => (change(s.tensor) === s.tensor ? s : { ...s, tensor: change(s.tensor) })) }
}

/** The list itself where no element changes. */
export function mapShared<T>(list: readonly T[], change: (element: T) => T): readonly T[] {
  let changed: T[] | undefined
  for (let i = 0; i < list.length; i++) {
    const element = list[i]!
    const result = change(element)
    if (result !== element && !changed) changed = list.slice(0, i)
    changed?.push(result)
  }
  return changed ?? list
}
