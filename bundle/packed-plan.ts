import type { BufferEntry, DispatchEntry, DispatchFacts, KernelEntry, ProgramEntry, TensorEntry } from './format.ts'
import type { PlanPart } from './stored.ts'

/*
 * Plans as they lie in files: rows of numbers in place of records, and every string once, in `names`. A plan has hundreds of tensors and
 * dispatches that differ in a few numbers, so its file takes a fifth of what records take. `docs/bundle.md` says what stands at which place
 * of a row. What is read here may be any JSON: fields that are not there become undefined, which validation then refuses.
 */

/** A part of a plan in its file. Indices count through the lists of the whole plan, `names` and `types` too. */
export interface PackedPart {
  /** Every string of the lists below. */
  readonly names: readonly string[]
  /** Each type of a tensor once: the type of its elements, then its shape. */
  readonly types: readonly (readonly (string | number)[])[]
  readonly buffers: readonly Row[]
  readonly tensors: readonly Row[]
  readonly kernels: readonly Row[]
  readonly programs: Readonly<Record<string, PackedProgram>>
}

type Row = readonly unknown[]

interface PackedProgram extends Omit<ProgramEntry, 'dispatches' | 'results'> {
  readonly dispatches: readonly Row[]
  /** A name, a tensor, a name, a tensor, ... */
  readonly results: readonly number[]
}

/** Strings, or anything else that becomes one by `keyOf`, by their numbers. */
class Table<T> {
  /** Values that were added since they were last taken. */
  private added: T[] = []
  private readonly index = new Map<string, number>()

  of(value: T): number {
    const key = typeof value === 'string' ? value : JSON.stringify(value)
    const known = this.index.get(key)
    if (known !== undefined) return known
    this.added.push(value)
    this.index.set(key, this.index.size)
    return this.index.size - 1
  }

  take(): T[] {
    const { added } = this
    this.added = []
    return added
  }
}

/** The parts of one plan, in their order. */
export function packParts(parts: readonly PlanPart[]): PackedPart[] {
  const names = new Table<string>()
  const types = new Table<(string | number)[]>()
  const buffer = (
    { name, role, elements, data }: BufferEntry,
  ): Row => [
    names.of(name),
    names.of(role),
    elements.fixed,
    elements.perSample,
    ...(data ?? []).map(({ times, values }) => [times, ...values]),
  ]
  const tensor = (
    { name, type, shape, buffer, offset, behind = [] }: TensorEntry,
  ): Row => [names.of(name), types.of([type, ...shape]), buffer, offset, ...behind]
  const kernel = ({ name, workgroup, bindings, file, section, subgroups }: KernelEntry): Row => [
    names.of(name),
    workgroup,
    bindings.flatMap((b) => [names.of(b.name), names.of(b.access), names.of(b.type)]),
    ...[file, section, subgroups].flatMap((text) => (text === undefined ? [] : [names.of(text)])),
  ]
  const dispatch = (
    { kernel, name, invocations, tensors }: DispatchEntry,
  ): Row => [kernel, names.of(name), invocations.fixed, invocations.perSample, ...tensors]
  return parts.map(({ buffers, tensors, kernels, programs }) => {
    const lists = {
      buffers: buffers.map(buffer),
      tensors: tensors.map(tensor),
      kernels: kernels.map(kernel),
      programs: Object.fromEntries(
        Object.entries(programs).map(([name, { dispatches, results, ...rest }]) => [name, {
          ...rest,
          dispatches: dispatches.map(dispatch),
          results: Object.entries(results).flatMap(([result, at]) => [names.of(result), at]),
        }]),
      ),
    }
    return { names: names.take(), types: types.take(), ...lists }
  })
}

const row = (value: unknown): any[] => (Array.isArray(value) ? value : [])
const rows = (value: unknown): any[][] => row(value).map(row)
const fields = (
  value: unknown,
): Record<string, unknown> => (typeof value === 'object' && value !== null ? value as Record<string, unknown> : {})

/** The element of a list at an index; undefined where a file has something else than a number as the index. */
const entry = (list: readonly any[], at: unknown): any => (typeof at === 'number' ? list[at] : undefined)

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What parts that follow each other from the first on put together. */
export function unpackParts(parts: readonly PackedPart[]): PlanPart {
  const all = (list: 'names' | 'types' | 'buffers' | 'tensors' | 'kernels'): any[] => parts.flatMap((part) => row(part[list]))
  const [nameList, types] = [all('names'), rows(all('types'))]
  const nameOf = (at: unknown): any => entry(nameList, at)
  const buffers = rows(all('buffers')).map(([name, role, fixed, perSample, ...data]): BufferEntry => ({
    name: nameOf(name),
    role: nameOf(role),
    elements: { fixed, perSample },
    ...(data.length > 0 && { data: rows(data).map(([times, ...values]) => ({ times, values })) }),
  }))
  const tensors = rows(all('tensors')).map(([name, type, buffer, offset, ...behind]): TensorEntry => {
    const [element, ...shape] = row(entry(types, type))
    return { name: nameOf(name), shape, type: element, buffer, offset, ...(behind.length > 0 && { behind }) }
  })
  const kernels = rows(all('kernels')).map(([name, workgroup, bindings, file, section, subgroups]): KernelEntry => ({
    name: nameOf(name),
    ...(file !== undefined &&
      { file: nameOf(file), section: nameOf(section), ...(subgroups !== undefined && { subgroups: nameOf(subgroups) }) }),
    bindings: threes(row(bindings)).map(([binding, access, type]) => ({
      name: nameOf(binding),
      access: nameOf(access),
      type: nameOf(type),
    })),
    workgroup,
  }))
  const dispatch = ([kernel, name, fixed, perSample, ...tensors]: any[]): DispatchEntry => ({
    kernel,
    tensors,
    invocations: { fixed, perSample },
    name: nameOf(name),
  })
  const programs = parts.flatMap((part) => Object.entries(fields(part.programs))).map(([program, value]): [string, ProgramEntry] => {
    const { dispatches, results, ...rest } = fields(value) as unknown as PackedProgram
    return [program, {
      dispatches: rows(dispatches).map(dispatch),
      results: Object.fromEntries(row(results).flatMap((name, i, list) => (i % 2 === 0 ? [[textOf(nameOf(name)), list[i + 1]]] : []))),
      ...rest,
    }]
  })
  return { buffers, tensors, kernels, programs: Object.fromEntries(programs) }
}

const threes = (list: any[]): any[][] => list.flatMap((_, i) => (i % 3 === 0 ? [list.slice(i, i + 3)] : []))

/** The facts of a plan's dispatches in their file. */
export interface PackedFacts {
  readonly texts: readonly string[]
  /** Each once: layers, numbers, reasons, and where there are such how the work is done and that it is done again. */
  readonly facts: readonly Row[]
  /** The numbers of the facts of each program's dispatches; null for a dispatch without. */
  readonly programs: Readonly<Record<string, readonly (number | null)[]>>
}

const AMOUNTS = ['flops', 'products', 'bytesRead', 'bytesWritten'] as const

export function packFacts(facts: Readonly<Record<string, readonly (DispatchFacts | null)[]>>): PackedFacts {
  const texts = new Table<string>()
  const table = new Table<Row>()
  const pack = (f: DispatchFacts): number =>
    table.of([
      f.layers.map((layer) => texts.of(layer)),
      AMOUNTS.flatMap((amount) => [f[amount].fixed, f[amount].perSample]),
      f.why.map((why) => texts.of(why)),
      ...(f.how !== undefined || f.again ? [f.how === undefined ? null : texts.of(f.how)] : []),
      ...(f.again ? [true] : []),
    ])
  const programs = Object.fromEntries(Object.entries(facts).map(([name, list]) => [name, list.map((f) => f && pack(f))]))
  return { texts: texts.take(), facts: table.take(), programs }
}

/** Gives the facts by program and dispatch. */
export function unpackFacts(packed: unknown): Readonly<Record<string, readonly (DispatchFacts | undefined)[]>> {
  const { texts: given, facts: list, programs } = fields(packed)
  const texts = row(given)
  const facts = rows(list).map(([layers, amounts, why, how, again]): DispatchFacts => {
    const amount = (i: number): { fixed: number; perSample: number } => ({ fixed: row(amounts)[2 * i], perSample: row(amounts)[2 * i + 1] })
    return {
      layers: row(layers).map((i) => entry(texts, i)),
      flops: amount(0),
      products: amount(1),
      bytesRead: amount(2),
      bytesWritten: amount(3),
      why: row(why).map((i) => entry(texts, i)),
      ...(typeof how === 'number' && { how: texts[how] }),
      ...(again === true && { again }),
    }
  })
  return Object.fromEntries(Object.entries(fields(programs)).map(([name, own]) => [name, row(own).map((i) => entry(facts, i))]))
}
