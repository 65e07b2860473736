import { UniqueNames } from '../../compiler/unique-names.ts'
import { textOf } from '../../dsl/source.ts'
import type { Value } from '../../compiler/graph/graph.ts'
import type { BlockUnit, Instance, LayerUnit, Unit } from './instances.ts'
import { className, isAttribute, TAKEN } from './names.ts'
import { type Code, isLiteral, type Literal, shapeOf } from './python-code.ts'

/** A class of the printed module: all instances of a block that differ in numbers alone. */
export interface BlockClass {
  readonly name: string
  readonly block: string
  readonly instances: readonly Instance[]
  /** What its instances differ in, in the order of their first use. */
  readonly parameters: readonly Parameter[]
  /** The parameter that stands for a literal, by `UNIT.LITERAL`, both counted: of a layer see `literalsOf`, of a block its arguments. */
  readonly parameterOf: ReadonlyMap<string, Parameter>
}

export interface Parameter {
  readonly name: string
  /** What each instance gives, in their order. */
  readonly texts: readonly string[]
  /** Whether a forward needs it. */
  readonly isKept: boolean
}

export interface Classes {
  readonly all: readonly BlockClass[]
  of(instance: Instance): BlockClass
  /** What an instance gives to the parameters of its class. */
  argumentsOf(instance: Instance): readonly string[]
}

/** Classes of all instances of blocks, those first that others are made of. `taken`: names that other classes have. */
export function classesOf(root: Instance, taken: Iterable<string>): Classes {
  const shapes = new Map<Instance, string>()
  const groups = new Map<string, Instance[]>()
  const visit = (instance: Instance): void => {
    for (const unit of instance.units) if (unit.kind === 'block') visit(unit.instance)
    const shape = shapeOfInstance(instance, shapes)
    shapes.set(instance, shape)
    if (instance === root) return
    groups.set(shape, [...(groups.get(shape) ?? []), instance])
  }
  visit(root)
  const names = new UniqueNames(taken)
  const made = new Map<Instance, BlockClass>()
  const all = [...groups.values()].map((instances): BlockClass => {
    const block = instances[0]!.block ?? instances[0]!.name
    const { parameters, parameterOf } = parametersOf(instances, made)
    const one: BlockClass = { name: names.give(className(block), ''), block, instances, parameters, parameterOf }
    for (const instance of instances) made.set(instance, one)
    return one
  })
  const of = (instance: Instance): BlockClass => made.get(instance)!
  return {
    all,
    of,
    argumentsOf: (instance) => {
      const { parameters, instances } = of(instance)
      const i = instances.indexOf(instance)
      return parameters.map(({ texts }) => texts[i]!)
    },
  }
}

/** All of an instance but its numbers: what it computes of what, under which names. */
function shapeOfInstance(instance: Instance, shapes: ReadonlyMap<Instance, string>): string {
  const places = new Map<Value, string>(instance.inputs.map((value, i) => [value, `in${i}`]))
  const parts = instance.units.map((unit, i) => {
    const reads = unit.inputs.map((value) => places.get(value))
    unit.outputs.forEach((value, k) => places.set(value, `${i}.${k}`))
    if (unit.kind === 'block') return [unit.name, reads, shapes.get(unit.instance)]
    const { module, value } = unit.written
    return [unit.name, unit.isRun && reads, unit.written.owner ?? '', module ? shapeOf(module) : '', shapeOf(value)]
  })
  return JSON.stringify([instance.block, parts, instance.outputs.map((value) => places.get(value))])
}

/** A literal of an instance: where it stands, and what the text calls it. */
interface Slot {
  readonly text: string
  readonly hint: string
  readonly isWritten: boolean
  readonly isKept: boolean
}

/** The literals of an instance in the order in which classes count them: of each unit its module's, then those of its value. */
export function literalsOf(unit: LayerUnit): readonly { readonly literal: Literal; readonly isKept: boolean }[] {
  const of = (code: Code | undefined, isKept: boolean) => (code ?? []).filter(isLiteral).map((literal) => ({ literal, isKept }))
  return [...of(unit.written.module, false), ...of(unit.written.value, true)]
}

const slotsOf = (unit: Unit, made: ReadonlyMap<Instance, BlockClass>): readonly Slot[] => {
  if (unit.kind === 'block') return blockSlots(unit, made)
  return literalsOf(unit).map(({ literal, isKept }) => {
    const span = unit.call.attributeSpans[literal.hint]
    const written = span && textOf(span)
    const isWritten = written !== undefined && /^[A-Za-z_]\w*$/.test(written) && !/^(true|false)$/.test(written)
    return { text: literal.text, hint: isWritten ? written : literal.hint, isWritten, isKept }
  })
}

function blockSlots({ instance }: BlockUnit, made: ReadonlyMap<Instance, BlockClass>): readonly Slot[] {
  const { parameters, instances } = made.get(instance)!
  const i = instances.indexOf(instance)
  return parameters.map(({ name, texts }) => ({ text: texts[i]!, hint: name, isWritten: false, isKept: false }))
}

/** What differs between instances: numbers that are the same in each of them are one parameter, called as the text calls it. */
function parametersOf(
  instances: readonly Instance[],
  made: ReadonlyMap<Instance, BlockClass>,
): Pick<BlockClass, 'parameters' | 'parameterOf'> {
  const rows = instances.map(({ units }) =>
    units.flatMap((unit, i) => slotsOf(unit, made).map((slot, k) => ({ ...slot, key: `${i}.${k}` })))
  )
  const found = new Map<string, { hint: string; isWritten: boolean; isKept: boolean; at: string[]; texts: readonly string[] }>()
  rows[0]!.forEach(({ key: place, hint, isWritten, isKept }, k) => {
    const texts = rows.map((row) => row[k]!.text)
    if (texts.every((text) => text === texts[0])) return
    const key = JSON.stringify(texts)
    const known = found.get(key)
    if (!known) found.set(key, { hint, isWritten, isKept, at: [place], texts })
    else {
      known.at.push(place)
      known.isKept ||= isKept
      if (isWritten && !known.isWritten) Object.assign(known, { hint, isWritten })
    }
  })
  const names = new UniqueNames([...TAKEN, ...instances[0]!.units.map(({ name }) => name)])
  const parameterOf = new Map<string, Parameter>()
  const parameters = [...found.values()].map(({ hint, isKept, at, texts }): Parameter => {
    const parameter = { name: names.give(isAttribute(hint) ? hint : `${hint}_`), texts, isKept }
    for (const place of at) parameterOf.set(place, parameter)
    return parameter
  })
  return { parameters, parameterOf }
}
