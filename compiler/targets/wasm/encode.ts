import { RELAXED_SECTION } from '../../../bundle/format.ts'
import { type Bytes, ByteWriter, joined, leb, name, signedLeb, vector } from './bytes.ts'
import { type Code, TYPE_BYTE, type ValueType } from './code.ts'

/*
 * The binary format of WebAssembly, as far as kernels need it: a few hundred lines instead of megabytes, so that a page can
 * compile nets too.
 */

export interface FunctionType {
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

export interface WasmFunction {
  readonly type: FunctionType
  /** Beyond the parameters. */
  readonly locals: readonly ValueType[]
  readonly code: Code
}

export interface WasmModule {
  readonly functions: readonly WasmFunction[]
  /** Types that are called through the table; `typeIndex` counts these first. */
  readonly types: readonly FunctionType[]
  readonly table: WasmTable
  readonly exports: readonly { readonly name: string; readonly function: number }[]
  /** Pages of 64 KiB that `env.memory`, which is imported and shared, may have. */
  readonly maxPages: number
}

/** The one table: `kernels`, which a module exports, or imports as `env.kernels`. */
export interface WasmTable {
  readonly isImported: boolean
  readonly size: number
  /** Functions that this module puts into it, each row from `first` on. */
  readonly rows: readonly { readonly first: number; readonly functions: readonly number[] }[]
}

const TABLE = 'kernels'

export function encodeModule({ functions, types: called, table, exports, maxPages }: WasmModule): Uint8Array {
  const types: FunctionType[] = [...called]
  const typeKey = (t: FunctionType): string => `${t.params}>${t.results}`
  const typeIndex = (t: FunctionType): number => {
    const known = types.findIndex((other) => typeKey(other) === typeKey(t))
    return known >= 0 ? known : types.push(t) - 1
  }
  const ofFunctions = functions.map((f) => typeIndex(f.type))
  const parts: Bytes[] = []
  const section = (id: number, body: Bytes): void => {
    parts.push([id], leb(body.length), body)
  }
  const memory = [...name('env'), ...name('memory'), 2, 3, ...leb(1), ...leb(maxPages)]
  const limits = [0x70, 1, ...leb(table.size), ...leb(table.size)]
  section(
    1,
    vector(types.map((t) => [0x60, ...vector(t.params.map((p) => [TYPE_BYTE[p]])), ...vector(t.results.map((r) => [TYPE_BYTE[r]]))])),
  )
  section(2, vector(table.isImported ? [memory, [...name('env'), ...name(TABLE), 1, ...limits]] : [memory]))
  section(3, vector(ofFunctions.map(leb)))
  if (!table.isImported) section(4, vector([limits]))
  section(
    7,
    vector([...exports.map((e) => [...name(e.name), 0, ...leb(e.function)]), ...(table.isImported ? [] : [[...name(TABLE), 1, 0]])]),
  )
  section(9, vector(table.rows.map(({ first, functions }) => [0, 0x41, ...signedLeb(first), 0x0b, ...vector(functions.map(leb))])))
  const bodies = functions.map((f) => {
    const locals = vector(runs(f.locals).map(({ type, count }) => [...leb(count), TYPE_BYTE[type]]))
    return joined([leb(locals.length + f.code.bytes.length + 1), locals, f.code.bytes, [0x0b]])
  })
  const code = vector(bodies)
  const before = parts.reduce((sum, { length }) => sum + length, 1 + leb(code.length).length + leb(bodies.length).length)
  section(10, code)
  return joined([[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], relaxedSection(functions, bodies, before), ...parts])
}

/**
 * A custom section in front of all others: where the instructions of every `multiplyAdd` and `chooseLanes` start, each as its distance from the one before,
 * the first from the end of the section. A host whose engine has relaxed SIMD writes three `nop` over a multiplication, `f32x4.relaxed_madd` over an addition,
 * `i32x4.relaxed_laneselect` over a selection: all of them take three bytes, so one file serves every engine. `from`: of the first body, behind the section.
 */
function relaxedSection(functions: readonly WasmFunction[], bodies: readonly Bytes[], from: number): Bytes {
  const distances = new ByteWriter()
  let last = 0
  let start = from
  functions.forEach(({ code }, i) => {
    const body = start + bodies[i]!.length - code.bytes.length - 1
    for (const at of code.relaxable) {
      distances.unsigned(body + at - last)
      last = body + at
    }
    start += bodies[i]!.length
  })
  if (distances.length === 0) return []
  const content = joined([name(RELAXED_SECTION), distances.bytes])
  return joined([[0], leb(content.length), content])
}

function runs(locals: readonly ValueType[]): { type: ValueType; count: number }[] {
  const found: { type: ValueType; count: number }[] = []
  for (const type of locals) {
    const last = found.at(-1)
    if (last?.type === type) last.count++
    else found.push({ type, count: 1 })
  }
  return found
}
