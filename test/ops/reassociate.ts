import { freeAxes } from '../../compiler/ir/analysis.ts'
import { add, constant, type Expression, mapChildren, neg, sub } from '../../compiler/ir/expression.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import { printExpression } from '../../compiler/ir/print.ts'

/**
 * What a shader compiler may make of an equation that takes its numbers for real ones: in every chain of additions and subtractions
 * equal terms cancel, and what changes with fewer axes is added up first. What is `rounded` is not looked through, unless
 * `through` says so.
 */
export function reassociated(e: Equation, through = false): Equation {
  const seen = new Map<Expression, Expression>()
  const visit = (node: Expression): Expression => {
    const known = seen.get(node)
    if (known) return known
    const result = isSum(node) ? chain(node)
      : through && node.kind === 'unary' && node.op === 'rounded' ? visit(node.a) : mapChildren(node, visit)
    seen.set(node, result)
    return result
  }
  const chain = (root: Expression): Expression => {
    const terms: { sign: 1 | -1; value: Expression; text: string }[] = []
    const collect = (node: Expression, sign: 1 | -1): void => {
      if (through && node.kind === 'unary' && node.op === 'rounded') return collect(node.a, sign)
      if (node.kind === 'binary' && (node.op === 'add' || node.op === 'sub')) {
        collect(node.a, sign)
        return collect(node.b, node.op === 'add' ? sign : sign === 1 ? -1 : 1)
      }
      const value = visit(node)
      const text = printExpression(value)
      const opposite = terms.findIndex((t) => t.text === text && t.sign !== sign)
      if (opposite >= 0) terms.splice(opposite, 1)
      else terms.push({ sign, value, text })
    }
    collect(root, 1)
    terms.sort((a, b) => freeAxes(a.value).size - freeAxes(b.value).size)
    const [first, ...others] = terms
    if (!first) return constant(0)
    return others.reduce(
      (sum, { sign, value }) => (sign === 1 ? add(sum, value) : sub(sum, value)),
      first.sign === 1 ? first.value : neg(first.value),
    )
  }
  return { ...e, stores: e.stores.map((s) => ({ ...s, value: visit(s.value) })) }
}

const isSum = (e: Expression): boolean => e.kind === 'binary' && (e.op === 'add' || e.op === 'sub')
