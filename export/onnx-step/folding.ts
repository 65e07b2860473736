import { type Axis, axesOf, type Index } from '../../compiler/ir/affine.ts'
import { freeAxes } from '../../compiler/ir/analysis.ts'
import { equation, store } from '../../compiler/ir/equation.ts'
import { children, constant, type Expression, type Guard, guard, position } from '../../compiler/ir/expression.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'

/** Numbers that are known when a model is written, row-major over axes. A single one has none. */
export interface Known {
  readonly axes: readonly Axis[]
  readonly values: readonly number[]
}

/** More numbers than this are not written out: they are made of smaller ones when the model runs. */
const MOST = 2 ** 20

const isFixed = (a: Axis): boolean => typeof a.extent === 'number'
export const extentsOf = (axes: readonly Axis[]): number[] => axes.map(({ extent }) => extent as number)
const sizeOf = (axes: readonly Axis[]): number => extentsOf(axes).reduce((product, extent) => product * extent, 1)

/** Values of expressions that depend on nothing but positions and the text, in float64. */
export class Folding {
  private readonly constants: ReadonlyMap<Tensor, Numbers>
  private readonly answers = new Map<Expression, boolean>()

  /** `constants`: tensors whose numbers are known. */
  constructor(constants: ReadonlyMap<Tensor, Numbers>) {
    this.constants = constants
  }

  private isKnown(e: Expression): boolean {
    const before = this.answers.get(e)
    if (before !== undefined) return before
    const answer = e.kind === 'load' ? this.constants.has(e.tensor) && e.at.flatMap(axesOf).every(isFixed)
      : e.kind === 'position' ? axesOf(e.at).every(isFixed)
      : e.kind === 'guard' ? e.guards.every((g) => g.at.terms.length === 0 || axesOf(g.at).every(isFixed)) && this.isKnown(e.value)
      : e.kind === 'reduce' ? e.axes.every(isFixed) && this.isKnown(e.body)
      : e.kind !== 'scalar' && e.kind !== 'random' && children(e).every((child) => this.isKnown(child))
    this.answers.set(e, answer)
    return answer
  }

  /** The numbers of an expression at all points of its axes, in the order that `sorted` gives them. Undefined where they are not known, or too many. */
  of(e: Expression, sorted: (axes: Iterable<Axis>) => readonly Axis[]): Known | undefined {
    if (e.kind === 'constant') return { axes: [], values: [e.value] }
    if (!this.isKnown(e)) return undefined
    const axes = sorted(freeAxes(e))
    if (sizeOf(axes) > MOST) return undefined
    return simplest({ axes, values: this.evaluate(e, axes) })
  }

  private evaluate(e: Expression, axes: readonly Axis[]): number[] {
    const result = tensor('known', extentsOf(axes))
    const storage = new Map<Tensor, Numbers>(this.constants)
    evaluateEquation(equation('known', [], axes, [store(result, axes, e)]), storage, { batch: 1 })
    return [...storage.get(result)!]
  }

  /** The values of an index at all points of its axes. */
  positions(at: Index, axes: readonly Axis[]): number[] {
    return this.evaluate(position(at), axes)
  }

  /** Where all guards hold, at all points of the axes: 1, else 0. */
  holds(guards: readonly Guard[], axes: readonly Axis[]): number[] {
    return this.evaluate(guard(guards, constant(1)), axes)
  }
}

/** One number where all are the same. */
function simplest(known: Known): Known {
  const [first] = known.values
  return known.axes.length > 0 && known.values.every((value) => Object.is(value, first)) ? { axes: [], values: [first!] } : known
}
