import { axis, type Axis, index, type Index, type IndexLike, substitute } from './affine.ts'
import type { Equation, SideReduction, Store } from './equation.ts'
import type { Expression } from './expression.ts'
import { canonicalText, shareText } from './fingerprint.ts'
import { onceLately } from './once-by-node.ts'
import { bottomUp } from './rewrite.ts'
import type { Tensor } from './tensor.ts'
import { loadAt, reductionOf, withIndices } from './expression-node.ts'

/**
 * The equation with its axes made in the order in which it binds them; itself where they are. Terms of an index stand in the order in which their axes
 * were made, and an equation may have axes of several nodes: which of these was made first depends on what was compiled before. So what is found of an
 * equation by its `canonicalText` (a schedule, a kernel) is found of this one.
 */
export const inOrder = onceLately((e: Equation): Equation => (isInOrder(canonicalText(e, false).axes) ? e : renewed(e, (t) => t)))

const isInOrder = (axes: readonly Axis[]): boolean => axes.every(({ id }, i) => i === 0 || axes[i - 1]!.id < id)

/** The same with other tensors: `tensorOf` gives the one that stands for the tensor of this number in the `canonicalText`. */
export const inOrderOver = (e: Equation, tensorOf: (t: Tensor, number: number) => Tensor): Equation => {
  const { tensors } = canonicalText(e, false)
  const known = new Map(tensors.map((t, number) => [t, tensorOf(t, number)]))
  return renewed(e, (t) => known.get(t)!)
}

function renewed(e: Equation, tensor: (t: Tensor) => Tensor): Equation {
  const canonical = canonicalText(e, false)
  const { axes } = canonical
  const fresh = new Map(isInOrder(axes) ? [] : axes.map((a) => [a, axis(a.name, a.extent)]))
  const own = (a: Axis): Axis => fresh.get(a) ?? a
  const map = new Map<Axis, IndexLike>([...fresh].map(([a, now]) => [a, index(now)]))
  const known = new Map<Index, Index>()
  const place = (at: Index): Index => {
    const made = known.get(at) ?? substitute(at, map)
    known.set(at, made)
    return made
  }
  // One for all values: nodes that they share stay shared.
  const value = bottomUp((node): Expression => {
    if (node.kind === 'load') return loadAt(tensor(node.tensor), node.at.map(place))
    if (node.kind === 'reduce') return reductionOf(node.combine, node.axes.map(own), node.body)
    return withIndices(node, place)
  })
  const store = (s: Store): Store => ({ tensor: tensor(s.tensor), at: s.at.map(place), value: value(s.value), counts: s.counts })
  const side = (s: SideReduction): SideReduction => ({
    ...s,
    source: tensor(s.source),
    partials: tensor(s.partials),
    keptAxis: own(s.keptAxis),
    ...(s.groupAxis && { groupAxis: own(s.groupAxis) }),
    blocks: s.blocks.map((b) => ({ ...b, axis: own(b.axis) })),
    ...(s.kind === 'sums' && { at: s.at.map(own), terms: s.terms.map(value) }),
  })
  const { fusedProducer, prepacked } = e
  const made: Equation = {
    name: e.name,
    layers: e.layers,
    axes: e.axes.map(own),
    stores: e.stores.map(store),
    sides: e.sides.map(side),
    fusedProducer: fusedProducer && { axes: fusedProducer.axes.map(own), store: store(fusedProducer.store) },
    images: e.images,
    prepacked: prepacked && { ...prepacked, weight: tensor(prepacked.weight), packed: tensor(prepacked.packed) },
    moments: e.moments,
    sums: e.sums,
  }
  shareText(made, canonical, canonical.tensors.map(tensor), axes.map(own))
  return made
}
