import { UniqueNames } from '../unique-names.ts'
import { type Axis, type Extent, type Index, showIndex } from './affine.ts'
import { freeAxes, isLeaf } from './analysis.ts'
import type { Equation, SideReduction, Store } from './equation.ts'
import type { Expression } from './expression.ts'
import type { Kernel } from './kernel.ts'
import { termsAt } from './side-sums.ts'
import { showShape } from './tensor.ts'

/** Kernels as text for people and snapshots: axes, what is stored, remarks. */
export const printEquations = (fused: readonly Kernel[]): string =>
  fused.map(({ equation, why }) => [printEquation(equation), ...why.map((reason) => `  # ${reason}`)].join('\n')).join('\n\n') + '\n'

/**
 * An equation as text. Each axis has a name of its own in it: the second `c` is `c#2`. A value that is used several times is written once, as
 * `$1`, with the axes of the reductions in which it lies: `$1[n#2]`.
 */
export function printEquation(e: Equation): string {
  const nameOf = namer(e)
  const { definitions, value } = shared(valuesOf(e), e.axes, nameOf)
  const axes = (of: readonly Axis[]): string => of.map((a) => showAxis(a, nameOf)).join(', ')
  const stored = ({ tensor, at, value: of, counts }: Store): string =>
    `${tensor.name}${showShape(tensor.shape)} ${showPlace(at, nameOf)} ${counts ? '+' : ''}= ${value(of)}`
  const lines = [`${e.name}  for ${axes(e.axes) || 'one point'}`]
  if (e.prepacked) lines.push(`  ${e.prepacked.weight.name} as ${e.prepacked.packed.name}${showShape(e.prepacked.packed.shape)}`)
  lines.push(...definitions.map((text) => `  ${text}`))
  if (e.fusedProducer) lines.push(`  as it is loaded, for ${axes(e.fusedProducer.axes)}: ${stored(e.fusedProducer.store)}`)
  for (const s of e.stores) lines.push(`  ${stored(s)}`)
  for (const side of e.sides) {
    const terms = termsOf(side, e).map(value)
    const what = side.kind === 'sums' ? `sums of ${terms.join(' and of ')}` : `moments of ${side.source.name}`
    const blocks = side.blocks.map((b) => `${nameOf(b.axis)} ${b.size}`).join(' x ')
    lines.push(`  ${what} along ${[...(side.groupAxis ? [side.groupAxis] : []), side.keptAxis].map(nameOf).join()}, in blocks of ${blocks}`)
  }
  return lines.join('\n')
}

/** The terms of side sums at the point that the equation stores: its own axes stand in them. */
function termsOf(side: SideReduction, { stores }: Equation): readonly Expression[] {
  if (side.kind !== 'sums') return []
  const place = stores.find((s) => s.tensor === side.source)?.at
  return place ? termsAt(side, place) : side.terms
}

const valuesOf = (e: Equation): readonly Expression[] => [
  ...(e.fusedProducer ? [e.fusedProducer.store.value] : []),
  ...e.stores.map((s) => s.value),
  ...e.sides.flatMap((side) => termsOf(side, e)),
]

/** A value shorter than this is written wherever it is used. */
const SHORT = 24

/** How values are written beside each other: `definitions` of what several places use, each behind those that it uses itself, and `value` of the rest. */
function shared(
  roots: readonly Expression[],
  axes: readonly Axis[],
  nameOf: NameOf,
): { readonly definitions: readonly string[]; readonly value: (e: Expression) => string } {
  const numberOf = new Map<Expression, number>()
  const numberOfText = new Map<string, number>()
  // Each value by its number: an expression, and how many others it stands in.
  const values: { readonly e: Expression; uses: number }[] = []
  const number = (e: Expression): number => {
    const known = numberOf.get(e)
    if (known !== undefined) return known
    const parts: number[] = []
    // Expressions of one text in numbers are one value.
    const text = printNode(
      e,
      (child) => {
        parts.push(number(child))
        return `$${parts.at(-1)!}`
      },
      nameOf,
    )
    const found = numberOfText.get(text) ?? values.length
    if (found === values.length) {
      values.push({ e, uses: 0 })
      numberOfText.set(text, found)
      for (const part of parts) values[part]!.uses++
    }
    numberOf.set(e, found)
    return found
  }
  for (const root of roots) values[number(root)]!.uses++

  const definitions: string[] = []
  const texts: string[] = []
  const value = (e: Expression): string => texts[number(e)]!
  for (const { e, uses } of values) {
    const text = printNode(e, value, nameOf)
    if (uses < 2 || isLeaf(e) || text.length < SHORT) {
      texts.push(text)
      continue
    }
    const inside = [...freeAxes(e)].filter((a) => !axes.includes(a))
    const name = `$${definitions.length + 1}${inside.length > 0 ? `[${inside.map(nameOf).join(', ')}]` : ''}`
    definitions.push(`${name} = ${text}`)
    texts.push(name)
  }
  return { definitions, value }
}

type NameOf = (axis: Axis) => string

/** Names of axes: their own, with a number behind where two axes have the same one. The axes of the points come first. */
function namer({ axes }: Equation): NameOf {
  const names = new Map<Axis, string>()
  const unique = new UniqueNames()
  const nameOf = (a: Axis): string => {
    const known = names.get(a)
    if (known !== undefined) return known
    const name = unique.give(a.name, '#')
    names.set(a, name)
    return name
  }
  axes.forEach(nameOf)
  return nameOf
}

const showExtent = (extent: Extent): string => (typeof extent === 'object' ? `n/${extent.chunks}` : String(extent))
const showAxis = (a: Axis, nameOf: NameOf): string => `${nameOf(a)} ${showExtent(a.extent)}`
const showPlace = (at: readonly Index[], nameOf: NameOf): string => `[${at.map((form) => showIndex(form, nameOf)).join(', ')}]`

const SIGNS: Readonly<Record<string, string>> = { add: '+', sub: '-', mul: '*', div: '/' }
const TESTS = { lt: '<', le: '<=', eq: '==' }

/** A node of a value as text, with the texts of its children. */
function printNode(e: Expression, print: (child: Expression) => string, nameOf: NameOf): string {
  switch (e.kind) {
    case 'constant':
      return String(e.value)
    case 'scalar':
      return e.name
    case 'position':
      return `(${showIndex(e.at, nameOf)})`
    case 'random':
      return `random(${e.key}, ${showIndex(e.at, nameOf)})`
    case 'load':
      return `${e.tensor.name}${showPlace(e.at, nameOf)}`
    case 'unary':
      return `${e.op}(${print(e.a)})`
    case 'binary': {
      const sign = SIGNS[e.op]
      return sign ? `(${print(e.a)} ${sign} ${print(e.b)})` : `${e.op}(${print(e.a)}, ${print(e.b)})`
    }
    case 'select':
      return `(${print(e.a)} ${e.test === 'finite' ? 'is finite' : `${TESTS[e.test]} ${print(e.b)}`} ? ${print(e.yes)} : ${print(e.no)})`
    case 'guard': {
      const guards = e.guards.map((g) => {
        const at = showIndex(g.at, nameOf)
        return g.kind === 'within' ? `0 <= ${at} < ${showExtent(g.extent)}` : `${g.by} divides ${at}`
      })
      return `(${guards.join(' and ')} ? ${print(e.value)} : ${e.otherwise})`
    }
    case 'reduce':
      return `${e.combine}(${e.axes.map((a) => showAxis(a, nameOf)).join(', ')}: ${print(e.body)})`
  }
}

/** A value as text, its axes by their own names. */
export const printExpression = (e: Expression): string => printNode(e, printExpression, (a) => a.name)
