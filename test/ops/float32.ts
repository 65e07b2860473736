import type { Expression, Guard } from '../../compiler/ir/expression.ts'
import { fold } from '../../compiler/ir/expression.ts'
import type { Axis, Extent, Index } from '../../compiler/ir/affine.ts'
import { type Equation, writes } from '../../compiler/ir/equation.ts'
import { elementCount, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'
import { strides, type Tensor } from '../../compiler/ir/tensor.ts'

/** Runs an equation as a device does: every single operation is rounded to float32. Slow, for small tensors. */
export function evaluateInFloat32(equation: Equation, storage: Map<Tensor, Numbers>, batch: number): void {
  for (const t of writes(equation)) if (!storage.has(t)) storage.set(t, new Float32Array(elementCount(t, batch)))
  const at = new Map<Axis, number>()
  const extentOf = (e: Extent): number => (typeof e === 'number' ? e : e === 'n' ? batch : Math.ceil(batch / e.chunks))
  const indexOf = (index: Index): number =>
    index.terms.reduce((sum, { atom, coefficient }) => {
      if (atom.kind === 'axis') return sum + coefficient * at.get(atom.axis)!
      const inner = indexOf(atom.of)
      return sum + coefficient * (atom.kind === 'div' ? Math.floor(inner / atom.by) : ((inner % atom.by) + atom.by) % atom.by)
    }, index.constant)
  const elementOf = (t: Tensor, position: readonly Index[]): number => {
    const step = strides(t.shape)
    return position.reduce((sum, p, i) => sum + step[i]! * indexOf(p), 0)
  }
  const holds = (g: Guard): boolean => {
    const position = indexOf(g.at)
    return g.kind === 'divides' ? position % g.by === 0 : position >= 0 && position < extentOf(g.extent)
  }
  const each = (axes: readonly Axis[], inside: () => void): void => {
    const [first, ...rest] = axes
    if (!first) return inside()
    for (let i = 0; i < extentOf(first.extent); i++) {
      at.set(first, i)
      each(rest, inside)
    }
  }
  const value = (e: Expression): number => Math.fround(exact(e))
  const exact = (e: Expression): number => {
    switch (e.kind) {
      case 'constant':
        return e.value
      case 'load':
        return storage.get(e.tensor)![elementOf(e.tensor, e.at)]!
      case 'position':
        return indexOf(e.at)
      case 'scalar':
        return batch
      case 'unary': {
        const a = value(e.a)
        if (e.op === 'rounded') return a
        return e.op === 'neg' ? -a : e.op === 'erf' ? NaN : Math[e.op](a)
      }
      case 'binary':
        return fold(e.op, value(e.a), value(e.b))
      case 'select': {
        const [a, b] = [value(e.a), value(e.b)]
        return value(
          (e.test === 'lt' ? a < b : e.test === 'le' ? a <= b : e.test === 'finite' ? Number.isFinite(a) : a === b) ? e.yes : e.no,
        )
      }
      case 'guard':
        return e.guards.every(holds) ? value(e.value) : e.otherwise
      case 'reduce': {
        let total = e.combine === 'sum' ? 0 : -Infinity
        each(e.axes, () => {
          const next = value(e.body)
          total = Math.fround(e.combine === 'sum' ? total + next : Math.max(total, next))
        })
        return total
      }
      case 'random':
        return NaN
    }
  }
  each(equation.axes, () => {
    const made = equation.stores.map((s) => value(s.value))
    equation.stores.forEach((s, i) => {
      storage.get(s.tensor)![elementOf(s.tensor, s.at)] = made[i]!
    })
  })
}
