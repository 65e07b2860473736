import type { Tensor } from './tensor.ts'
import type { Expression } from './expression.ts'
import type { Atom, Axis, Extent, Index } from './affine.ts'
import type { Equation } from './equation.ts'
import { sameTexts } from './same-texts.ts'

export interface CanonicalText {
  readonly text: string
  /** Tensors by their numbers in the text. */
  readonly tensors: readonly Tensor[]
  readonly axes: readonly Axis[]
}

/**
 * A text that is the same for equations that compute the same from tensors of the same names and shapes: axes are numbered as they are
 * bound, tensors by first use. What is lowered once need not be lowered again for another program of the same net; without
 * names, not for another layer of the same shape either. When axes were made does not count: see `inOrder`.
 */
export function canonicalText(e: Equation, names = true): CanonicalText {
  if (names) return textOf(e, names)
  const known = nameless.get(e)
  if (known) return known
  const { text, tensors, axes } = textOf(e, names)
  const made = { text: oneText(text), tensors, axes }
  nameless.set(e, made)
  return made
}

/** Says that an equation has the text of another, without names: it is the same one over other tensors and axes, which are given in the other's order. */
export const shareText = (e: Equation, { text }: CanonicalText, tensors: readonly Tensor[], axes: readonly Axis[]): void =>
  void nameless.set(e, { text, tensors, axes })

/** Texts without names, which schedules, costs and printers all ask for. */
const nameless = new WeakMap<Equation, CanonicalText>()

/** A deep net has the same few texts many times: each is kept once, and is found among keys without being compared. */
const oneText = sameTexts()

function textOf(e: Equation, names: boolean): CanonicalText {
  const axes = new Map<Axis, number>()
  const tensors = new Map<Tensor, number>()
  const seen = new Map<Expression, number>()
  const lines: string[] = names ? [e.name] : []
  const extent = (x: Extent): string => (typeof x === 'object' ? `n/${x.chunks}` : String(x))
  const axis = (a: Axis): string => {
    const known = axes.get(a)
    if (known !== undefined) return `a${known}`
    axes.set(a, axes.size)
    return `a${axes.size - 1}:${a.name}:${extent(a.extent)}`
  }
  const tensor = (t: Tensor): string => {
    const known = tensors.get(t)
    if (known !== undefined) return `t${known}`
    tensors.set(t, tensors.size)
    return `t${tensors.size - 1}:${names ? t.name : ''}:${t.type}:${t.shape.join('x')}`
  }
  const index = (at: Index): string => {
    let text = String(at.constant)
    const terms = sorted(at.terms)
    for (let i = 0; i < terms.length; i++) text += `+${terms[i]!.coefficient}*${atomText(terms[i]!.atom)}`
    return text
  }
  const place = (at: readonly Index[]): string => {
    let text = ''
    for (let i = 0; i < at.length; i++) text += i === 0 ? index(at[i]!) : `,${index(at[i]!)}`
    return text
  }
  const atomText = (atom: Atom): string => (atom.kind === 'axis' ? axis(atom.axis) : `${atom.kind}(${index(atom.of)},${atom.by})`)
  /** Terms in the order in which their axes are bound. Every axis is bound before it is met in an index. */
  const sorted = (terms: Index['terms']): Index['terms'] => {
    let before = -1
    for (let i = 0; i < terms.length; i++) {
      const here = order(terms[i]!)
      if (here <= before) return [...terms].sort((a, b) => compare(order(a), order(b)) || compare(atomText(a.atom), atomText(b.atom)))
      before = here
    }
    return terms
  }
  const order = ({ atom }: Index['terms'][number]): number => (atom.kind === 'axis' ? axes.get(atom.axis) ?? axes.size : Infinity)
  const visit = (node: Expression): string => {
    const known = seen.get(node)
    if (known !== undefined) return `e${known}`
    const text = describe(node)
    seen.set(node, seen.size)
    lines.push(text)
    return `e${seen.size - 1}`
  }
  const describe = (node: Expression): string => {
    switch (node.kind) {
      case 'constant':
        return `${node.value}`
      case 'scalar':
        return node.name
      case 'position':
        return `at ${index(node.at)}`
      case 'random':
        return `random ${node.key} ${index(node.at)}`
      case 'load':
        return `${tensor(node.tensor)}[${place(node.at)}]`
      case 'unary':
        return `${node.op} ${visit(node.a)}`
      case 'binary':
        return `${node.op} ${visit(node.a)} ${visit(node.b)}`
      case 'select':
        return `${node.test} ${visit(node.a)} ${visit(node.b)} ${visit(node.yes)} ${visit(node.no)}`
      case 'guard':
        return `${visit(node.value)} if ${
          node.guards.map((g) => `${index(g.at)} ${g.kind === 'within' ? `< ${extent(g.extent)}` : `% ${g.by}`}`).join(' & ')
        } else ${node.otherwise}`
      case 'reduce':
        return `${node.combine} ${node.axes.map(axis).join()} ${visit(node.body)}`
    }
  }
  lines.push(e.axes.map(axis).join())
  if (e.images) lines.push(`${e.images} images`)
  if (e.prepacked) lines.push(`${tensor(e.prepacked.weight)} ${e.prepacked.form}${e.prepacked.panel ?? ''} ${tensor(e.prepacked.packed)}`)
  if (e.fusedProducer) lines.push(`on load ${e.fusedProducer.axes.map(axis).join()}`)
  for (const s of [...(e.fusedProducer ? [e.fusedProducer.store] : []), ...e.stores])
    lines.push(`${tensor(s.tensor)}[${place(s.at)}] ${s.counts ? '+' : ''}= ${visit(s.value)}`)
  for (const side of e.sides) {
    const terms = side.kind === 'sums' ? ` of ${side.at.map(axis).join()} ${side.terms.map(visit).join()}` : ''
    lines.push(
      `${side.kind} ${tensor(side.source)} ${side.channelOffset ?? 0}${terms} ${side.groupAxis ? `${axis(side.groupAxis)} ` : ''}${
        axis(side.keptAxis)
      } ${side.blocks.map((b) => `${axis(b.axis)}/${b.size}`).join()} ${tensor(side.partials)}`,
    )
  }
  return { text: lines.join('\n'), tensors: [...tensors.keys()], axes: [...axes.keys()] }
}

const compare = <T extends number | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0)
