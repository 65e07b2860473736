import type { Value } from '../../compiler/graph/graph.ts'
import { type Span, textOf } from '../../dsl/source.ts'
import { type BlockClass, type Classes, literalsOf, type Parameter } from './classes.ts'
import type { Instance, LayerUnit, Unit } from './instances.ts'
import { SELF } from './layer.ts'
import { commentLines, member, variableName } from './names.ts'
import { isLiteral, printCode } from './python-code.ts'
import { type Assignment, type Made, printMade } from './runs.ts'
import type { Statements } from './statements.ts'

/** How an instance is printed: in the names of its class. */
export interface Body {
  /** Lines that make its modules. */
  readonly made: readonly string[]
  readonly inputs: readonly string[]
  readonly assignments: readonly Assignment[]
  /** The name of a value that its forward has. */
  nameOf(value: Value): string
}

/** `inputs`: names that the values from outside have. */
export function bodyOf(
  instance: Instance,
  of: BlockClass | undefined,
  classes: Classes,
  statements: Statements,
  inputs?: readonly string[],
): Body {
  const parameterAt = (key: string): Parameter | undefined => of?.parameterOf.get(key)
  const names = new Variables(instance)
  const shown = new Set<string>()
  const made: Made[] = []
  const assignments: Assignment[] = []
  const given = inputs ?? instance.inputs.map((value, i) => inputName(instance, value, i))
  const taken = instance.inputs.map((value, i) => names.give(value, given[i]!, -1))
  for (const [i, unit] of instance.units.entries()) {
    const own = member('self', unit.name)
    if (unit.kind === 'block') {
      const parameters = classes.of(unit.instance).parameters
      const give = parameters.map((_, k) => parameterAt(`${i}.${k}`)?.name ?? classes.argumentsOf(unit.instance)[k]!)
      made.push({ unit, type: classes.of(unit.instance).name, names: parameters.map(({ name }) => name), give })
      if (unit.outputs.length === 0) continue
    } else {
      const at = literalsOf(unit).map((_, k) => parameterAt(`${i}.${k}`))
      let k = 0
      const module = unit.written.module
      if (module) made.push({ unit, text: printCode(module, () => '', () => at[k++]?.name) })
      if (!unit.isRun) continue
    }
    const reads = unit.inputs.map((value) => names.of(value))
    const value = valueOf(unit, reads, own, parameterAt, i)
    const making = statements.around(unit.span)
    const comment = making && !shown.has(keyOf(making.span)) ? commentLines(textOf(making.span), columnOf(making.span)) : []
    if (making) shown.add(keyOf(making.span))
    const targets = unit.outputs.map((out) => names.give(out, making?.name ?? 'x', i))
    assignments.push({ unit, targets, reads, value, comment })
  }
  return { made: printMade(made), inputs: taken, assignments, nameOf: (value) => names.of(value) }
}

/** Where a span begins in its line. */
const columnOf = ({ source, start }: Span): number => start - (source.text.lastIndexOf('\n', start - 1) + 1)

const keyOf = ({ source, start }: { readonly source: { readonly file: string }; readonly start: number }): string =>
  `${source.file} ${start}`

function valueOf(
  unit: Unit,
  reads: readonly string[],
  own: string,
  parameterAt: (key: string) => Parameter | undefined,
  i: number,
): string {
  if (unit.kind === 'block') return `${own}(${reads.join(', ')})`
  const { module = [], value, owner } = unit.written
  let k = module.filter(isLiteral).length
  const self = owner === undefined ? own : member('self', owner)
  return printCode(value.map((part) => (part === SELF ? self : part)), (input) => reads[input]!, () => {
    const parameter = parameterAt(`${i}.${k++}`)
    return parameter && `self.${parameter.name}`
  })
}

/** What the text calls an input of a block, where a layer reads it by a name. */
function inputName(instance: Instance, value: Value, i: number): string {
  const named = instance.units.flatMap((unit) =>
    unit.kind === 'layer' ? unit.node.inputs.flatMap((input, k) => (input === value ? [nameIn(unit, k)] : [])) : []
  ).find((name) => name !== undefined)
  return named ?? (i === 0 ? 'x' : `x${i + 1}`)
}

function nameIn({ call }: LayerUnit, k: number): string | undefined {
  const span = call.inputSpans[k]
  const text = span && textOf(span)
  return text !== undefined && /^[A-Za-z_]\w*$/.test(text) ? text : undefined
}

/** Names of values within a forward: a name is given again where what had it is not read any more. */
class Variables {
  private readonly lastRead = new Map<Value, number>()
  private readonly holds = new Map<string, Value>()
  private readonly names = new Map<Value, string>()

  constructor({ units, outputs }: Instance) {
    units.forEach((unit, i) => {
      if (unit.kind === 'block' || unit.isRun) { for (const value of unit.inputs) this.lastRead.set(value, i) }
    })
    for (const value of outputs) this.lastRead.set(value, Infinity)
  }

  give(value: Value, wanted: string, at: number): string {
    // Two inputs have two names, whether they are read or not.
    if (at < 0) this.lastRead.set(value, Math.max(0, this.lastRead.get(value) ?? 0))
    const isFree = (name: string): boolean => {
      const held = this.holds.get(name)
      return held === undefined || (this.lastRead.get(held) ?? -1) <= at
    }
    const name = variableName(wanted, isFree)
    this.holds.set(name, value)
    this.names.set(value, name)
    return name
  }

  of(value: Value): string {
    return this.names.get(value)!
  }
}
