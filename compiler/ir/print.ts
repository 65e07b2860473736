import { showShape } from './tensor.ts'
import { type Expression } from './expression.ts'
import type { Fused } from './kernel.ts'
import { type Axis, type Extent, showIndex } from './affine.ts'
import type { Equation, Store } from './equation.ts'

/** Equations as text for people and snapshots: axes, what is stored, why. */
export const printEquations = (fused: readonly Fused[]): string =>
  fused.map(({ equation, why }) => [printEquation(equation), ...why.map((reason) => `  # ${reason}`)].join('\n')).join('\n\n') + '\n'

export function printEquation(e: Equation): string {
  const lines = [`${e.name}  for ${e.axes.map(showAxis).join(', ') || 'one point'}`]
  const storeText = (s: Store): string =>
    `${s.tensor.name}${showShape(s.tensor.shape)} [${s.at.map((at) => showIndex(at)).join(', ')}] = ${printExpression(s.value)}`
  if (e.onLoad) lines.push(`  as it is loaded, for ${e.onLoad.axes.map(showAxis).join(', ')}: ${storeText(e.onLoad.store)}`)
  for (const s of e.stores) lines.push(`  ${storeText(s)}`)
  for (const side of e.sides) {
    const what = side.kind === 'sums' ? `sums of ${side.terms.map(printExpression).join(' and of ')}` : `moments of ${side.source.name}`
    lines.push(`  ${what} along ${side.kept.name}, in blocks of ${side.blocks.map((b) => `${b.axis.name} ${b.size}`).join(' x ')}`)
  }
  return lines.join('\n')
}

const showExtent = (extent: Extent): string => (typeof extent === 'object' ? `n/${extent.chunks}` : String(extent))
const showAxis = (a: Axis): string => `${a.name} ${showExtent(a.extent)}`

const SIGNS: Readonly<Record<string, string>> = { add: '+', sub: '-', mul: '*', div: '/' }

export function printExpression(e: Expression): string {
  switch (e.kind) {
    case 'constant':
      return String(e.value)
    case 'scalar':
      return e.name
    case 'position':
      return `(${showIndex(e.at)})`
    case 'random':
      return `random(${e.key}, ${showIndex(e.at)})`
    case 'load':
      return `${e.tensor.name}[${e.at.map((at) => showIndex(at)).join(', ')}]`
    case 'unary':
      return `${e.op}(${printExpression(e.a)})`
    case 'binary': {
      const sign = SIGNS[e.op]
      return sign ? `(${printExpression(e.a)} ${sign} ${printExpression(e.b)})`
        : `${e.op}(${printExpression(e.a)}, ${printExpression(e.b)})`
    }
    case 'select':
      return `(${printExpression(e.a)} ${{ lt: '<', le: '<=', eq: '==', finite: 'is finite, not' }[e.test]} ${printExpression(e.b)} ? ${
        printExpression(e.yes)
      } : ${printExpression(e.no)})`
    case 'guard': {
      const guards = e.guards.map((
        g,
      ) => (g.kind === 'within' ? `0 <= ${showIndex(g.at)} < ${showExtent(g.extent)}` : `${g.by} divides ${showIndex(g.at)}`))
      return `(${guards.join(' and ')} ? ${printExpression(e.value)} : ${e.otherwise})`
    }
    case 'reduce':
      return `${e.combine}(${e.axes.map(showAxis).join(', ')}: ${printExpression(e.body)})`
  }
}
