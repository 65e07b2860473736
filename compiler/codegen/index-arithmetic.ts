import { invariant } from '../invariant.ts'
import { type Axis, axis, type Extent, type Index, plus, rangeOf } from '../ir/affine.ts'
import { identifier } from './kernel-names.ts'
import type { Operand } from './kernel-function.ts'
import * as operands from './operands.ts'
import { float, int } from './operands.ts'
import * as statements from './statements.ts'
import { ValueNumbering } from './value-numbering.ts'

/** Loop variables, and the integer arithmetic of affine indices over them. */
export class IndexArithmetic extends ValueNumbering {
  /** Loop variables by the axes that they count. */
  private readonly variables = new Map<Axis, Extract<Operand, { kind: 'name' }>>()
  /** Variables that are computed, by the values that they have. */
  private readonly computed = new Map<string, Axis>()
  /** Sums of loop variables, by what they sum up. */
  private readonly sums = new Map<string, Operand>()

  /** The name that a loop variable has in the kernel function. */
  name(variable: Axis): string {
    return this.variables.get(variable)!.name
  }

  /** Makes a loop variable that counts the tiles of an axis, for a loop at a depth. */
  loopVariable(a: Axis, size: number, depth: number): Axis {
    invariant(size === 1 || typeof a.extent === 'number' || a.extent === 'n', () => `${a.name} cannot be tiled`)
    const extent: Extent = size === 1 ? a.extent : typeof a.extent === 'number' ? Math.ceil(a.extent / size) : { chunks: size }
    return this.bound(axis(a.name, extent), this.names.unique(identifier(size === 1 ? a.name : `${a.name}_tile`)), depth)
  }

  /** Makes a variable that is computed instead of counted: where a tile starts that may not hang over the edge. */
  computedVariable(name: string, extent: number, value: Operand): Axis {
    const depth = this.depth(value)
    const variable = this.bound(axis(name, extent), this.names.unique(identifier(name)), depth)
    this.scopes[depth]!.statements.push(statements.definition('let', this.name(variable), 'i32', 1, value))
    return variable
  }

  /** The variable that stands for an operand's value, of as many values as an axis has. */
  variableOf({ name, extent }: Axis, value: Operand): Axis {
    const key = this.key(value)
    const known = this.computed.get(key) ?? this.computedVariable(name, extent as number, value)
    this.computed.set(key, known)
    return known
  }

  /** Makes a variable that the kernel's head gives. */
  providedVariable(name: string, extent: number): Axis {
    return this.bound(axis(name, extent), name, 0)
  }

  private bound(variable: Axis, name: string, depth: number): Axis {
    this.variables.set(variable, operands.named(name, 'i32', 1, depth))
    return variable
  }

  variableOperand(a: Axis): Operand {
    const variable = this.variables.get(a)
    invariant(variable, () => `${this.kernel}: axis ${a.name} is not bound`)
    return variable
  }

  /** Gives an index as an operand: loop variables of outer loops are added up outside, the constant last. */
  indexOperand(at: Index): Operand {
    if (at.terms.length === 0) return int(at.constant)
    // Variables are told apart by identity, so a sum of them is never asked for outside the loops that bind them.
    let total = this.sums.get(at.termsKey)
    if (!total) {
      total = at.terms.length === 1 ? this.term(at.terms[0]!) : this.sumOfTerms(at.terms)
      this.sums.set(at.termsKey, total)
    }
    return at.constant === 0 ? total
      : operands.operation('iadd', [total, int(at.constant)], 'i32', 1)
  }

  private sumOfTerms(terms: Index['terms']): Operand {
    const parts: Operand[] = []
    for (let i = 0; i < terms.length; i++) {
      const part = this.term(terms[i]!)
      const depth = this.depth(part)
      // Outer ones first, those of one depth in their order.
      let place = i
      for (; place > 0 && this.depth(parts[place - 1]!) > depth; place--) parts[place] = parts[place - 1]!
      parts[place] = part
    }
    let total = parts[0]!
    for (let i = 1; i < parts.length; i++) total = this.op('iadd', [total, parts[i]!], 'i32')
    return total
  }

  private term({ atom, coefficient }: Index['terms'][number]): Operand {
    return this.scaled(atom.kind === 'axis' ? this.variableOperand(atom.axis) : this.divisionOperand(atom), coefficient)
  }

  scaled(operand: Operand, coefficient: number): Operand {
    return coefficient === 1 ? operand : this.op('imul', [operand, int(coefficient)], 'i32')
  }

  divisionOperand(atom: { kind: 'div' | 'mod'; of: Index; by: number }): Operand {
    // Division truncates on every target: shift what may be negative up by whole multiples first.
    const lowest = rangeOf(atom.of).min
    const shift = lowest < 0 && Number.isFinite(lowest) ? Math.ceil(-lowest / atom.by) : 0
    const shifted = this.indexOperand(plus(atom.of, shift * atom.by))
    if (atom.kind === 'mod') return this.op('irem', [shifted, int(atom.by)], 'i32')
    const quotient = this.op('idiv', [shifted, int(atom.by)], 'i32')
    return shift === 0 ? quotient : this.op('iadd', [quotient, int(-shift)], 'i32')
  }

  floatOperand(at: Index): Operand {
    if (at.terms.length === 0) return float(at.constant)
    return this.op('float', [this.indexOperand(at)])
  }

  /** Four indices from `at` on. */
  ramp(at: Index, step: number): Operand {
    const from = this.indexOperand(at)
    return this.value(operands.ramp(from, step), `ramp${step}(${this.key(from)})`, 'i32', 4, this.depth(from))
  }
}
