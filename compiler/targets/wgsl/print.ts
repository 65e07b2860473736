import type { Extent } from '../../ir/affine.ts'
import { type KernelFunction, type Operand, type Statement, typeOf } from '../../codegen/kernel-function.ts'
import type { KernelCapabilities } from '../../codegen/verify.ts'
import { WORKGROUP_BYTES, WORKGROUP_INVOCATIONS } from '../../codegen/gpu/workgroup.ts'
import { inlineLets, type Reads } from '../../codegen/inline-lets.ts'
import { FUNCTIONS, invocationId, stepOf, WORKGROUP_ID } from './prelude.ts'

export interface WgslKernel {
  readonly code: string
  readonly workgroup: number
}

/** A vector is stored whole in workgroup memory alone: buffers are arrays of numbers. */
export const CAPABILITIES: KernelCapabilities = {
  statements: new Set(['let', 'var', 'set', 'store', 'count', 'for', 'if', 'step', 'barrier']),
  operands: new Set([
    'number',
    'truth',
    'name',
    'load',
    'vector',
    'lane',
    'scalar',
    'batch',
    'random',
    'operation',
    'subgroup',
    'subgroupSize',
  ]),
  workgroup: { invocations: WORKGROUP_INVOCATIONS, bytes: WORKGROUP_BYTES },
}

/** Prints one invocation's kernel as a WGSL module with the entry point `main`. `rows`: the workgroup of a kernel that names none. */
export function printWgsl(kernel: KernelFunction, rows: number): WgslKernel {
  const workgroup = kernel.group ? kernel.group.reduce((product, { extent }) => product * extent, 1) : rows
  const used = new Set<string>()
  const lines: string[] = []
  const { statements, reads } = inlineLets(kernel.body, { mostLeaves: 8 })
  printGrid(kernel, reads, lines)
  printStatements(kernel, statements, ' ', lines, used)
  const counters = countersIn(kernel.body)
  const bindings = kernel.bindings.map((b, i) =>
    `@group(0) @binding(${i + 1}) var<storage, ${b.access}> ${b.name}: array<${
      counters.has(i) ? `atomic<${b.tensor.type}>` : b.tensor.type
    }>;`
  )
  const body = [
    ...bindings,
    ...(kernel.shared ?? []).map(({ name, elements, lanes }) =>
      `var<workgroup> ${name}: array<${lanes === 4 ? 'vec4<f32>' : 'f32'}, ${elements}>;`
    ),
    ...[...used].sort().map((name) => FUNCTIONS[name]!),
    `@compute @workgroup_size(${workgroup})`,
    ...(kernel.group ? [
      `fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local_index: u32${
        kernel.subgroups ? ', @builtin(subgroup_size) subgroup_size: u32' : ''
      }) {`,
      ` let id = ${WORKGROUP_ID};`,
    ] : [
      'fn main(@builtin(global_invocation_id) global: vec3<u32>) {',
      ` let id = ${invocationId(workgroup)};`,
    ]),
    ...lines,
    '}',
    '',
  ].join('\n')
  const head = [
    // The other text of the kernel says the same of itself.
    ...(kernel.subgroups ? [`// ${kernel.name}, by subgroups`, 'enable subgroups;'] : kernel.summary.map((line) => `// ${line}`)),
    ...(kernel.bindings.some((b) => b.tensor.type === 'f16') ? ['enable f16;'] : []),
    ...stepOf(body),
  ]
  return { code: `${head.join('\n')}\n${body}`, workgroup }
}

/** Splits `id` into the grid's coordinates and `local` into the workgroup's; what is beyond the grid has nothing to do. */
function printGrid(kernel: KernelFunction, read: Reads, lines: string[]): void {
  const counted = kernel.grid.reduce((product, { extent }) => product * (typeof extent === 'number' ? extent : 1), 1)
  const sizes = kernel.grid.flatMap(({ extent }) => (typeof extent === 'number' ? [] : [extentText(extent)]))
  lines.push(` if (id >= ${[...sizes, ...(counted > 1 || sizes.length === 0 ? [counted] : [])].join(' * ')}) { return; }`)
  printCoordinates('id', kernel.grid, read, lines)
  if (!kernel.group) return
  lines.push(' let local = i32(local_index);')
  printCoordinates('local', kernel.group, read, lines)
}

/** The last axis fastest. Coordinates that nothing reads are left out. */
function printCoordinates(
  id: string,
  axes: readonly { readonly name: string; readonly extent: Extent }[],
  read: Reads,
  lines: string[],
): void {
  let rest = id
  for (let i = axes.length - 1; i > 0; i--) {
    const { name, extent } = axes[i]!
    if (read.has(name)) lines.push(extent === 1 ? ` let ${name} = 0;` : ` let ${name} = ${rest} % ${extentText(extent)};`)
    if (extent === 1) continue
    const following = i === 1 ? axes[0]!.name : `${name}_rest`
    lines.push(` let ${following} = ${rest} / ${extentText(extent)};`)
    rest = following
  }
  const [slowest] = axes
  if (slowest && rest !== slowest.name && read.has(slowest.name)) lines.push(` let ${slowest.name} = ${rest};`)
}

const extentText = (extent: Extent): string =>
  typeof extent === 'number' ? String(extent) : extent === 'n' ? 'i32(step.n)' : `((i32(step.n) + ${extent.chunks - 1}) / ${extent.chunks})`

function printStatements(kernel: KernelFunction, body: readonly Statement[], indent: string, lines: string[], used: Set<string>): void {
  const text = (operand: Operand): string => printTerm(kernel, operand, used)
  for (const s of body) {
    switch (s.kind) {
      case 'let':
        lines.push(`${indent}let ${s.name} = ${text(s.value)};`)
        break
      case 'var':
        lines.push(`${indent}var ${s.name} = ${s.lanes === 4 && isZeroVector(s.value) ? 'vec4<f32>()' : text(s.value)};`)
        break
      case 'set':
        lines.push(`${indent}${s.name} = ${text(s.value)};`)
        break
      case 'store': {
        const half = kernel.bindings[s.binding]?.tensor.type === 'f16'
        lines.push(`${indent}${memoryName(kernel, s.binding)}[${text(s.at)}] = ${half ? `f16(${text(s.value)})` : text(s.value)};`)
        break
      }
      case 'count': {
        const each = s.values.map((value) => (typeOf(value) === 'bool' ? `u32(${text(value)})` : `u32(${text(value)} != 0.0)`))
        const name = `${memoryName(kernel, s.binding)}_found`
        lines.push(`${indent}let ${name} = ${each.join(' + ')};`)
        lines.push(`${indent}if (${name} != 0u) { atomicAdd(&${memoryName(kernel, s.binding)}[0], i32(${name})); }`)
        break
      }
      case 'barrier':
        lines.push(`${indent}workgroupBarrier();`)
        break
      case 'for':
        lines.push(
          `${indent}for (var ${s.name} = ${s.from ? text(s.from) : '0'}; ${s.name} < ${text(s.extent)}; ${
            s.by ? `${s.name} += ${s.by}` : `${s.name}++`
          }) {`,
        )
        printStatements(kernel, s.body, `${indent} `, lines, used)
        lines.push(`${indent}}`)
        break
      case 'storeInterleaved':
        throw new Error(`${kernel.name}: WGSL has no ${s.kind}`)
      case 'step':
        printStatements(kernel, s.body, indent, lines, used)
        break
      case 'if':
        lines.push(`${indent}if (${text(s.condition)}) {`)
        printStatements(kernel, s.body, `${indent} `, lines, used)
        lines.push(`${indent}}`)
        break
    }
  }
}

/** Bindings that are counted in. */
function countersIn(body: readonly Statement[], found = new Set<number>()): ReadonlySet<number> {
  for (const s of body) {
    if (s.kind === 'count') found.add(s.binding)
    else if (s.kind === 'for' || s.kind === 'if' || s.kind === 'step') countersIn(s.body, found)
  }
  return found
}

/** Bindings first, then what a workgroup shares. */
const memoryName = ({ bindings, shared }: KernelFunction, index: number): string =>
  (bindings[index] ?? shared![index - bindings.length]!).name

const isZeroVector = (operand: Operand): boolean =>
  operand.kind === 'vector' && operand.parts.every((p) => p.kind === 'number' && p.value === 0)

function printTerm(kernel: KernelFunction, operand: Operand, used: Set<string>): string {
  switch (operand.kind) {
    case 'number':
      return operand.type === 'i32' ? String(operand.value) : printFloat(operand.value)
    case 'truth':
      return String(operand.value)
    case 'name':
      return operand.name
    case 'load': {
      const element = `${memoryName(kernel, operand.binding)}[${printTerm(kernel, operand.at, used)}]`
      const type = kernel.bindings[operand.binding]?.tensor.type
      return type === 'i32' || type === 'f16' ? `f32(${element})` : element
    }
    case 'vector':
      return `vec4(${operand.parts.map((part) => printTerm(kernel, part, used)).join(', ')})`
    case 'lane':
      return `${printFactor(kernel, operand.of, used)}.${'xyzw'[operand.lane]}`
    case 'gather':
    case 'ramp':
    case 'tasksDone':
      throw new Error(`${kernel.name}: WGSL has no ${operand.kind}`)
    case 'scalar':
      return operand.name === 'batch' ? 'f32(step.n)' : `step.${operand.name}`
    case 'batch':
      return operand.chunks === 1 ? 'i32(step.n)' : `(i32(step.n) + ${operand.chunks - 1}) / ${operand.chunks}`
    case 'subgroup':
      return `${operand.combine === 'sum' ? 'subgroupAdd' : 'subgroupMax'}(${printTerm(kernel, operand.of, used)})`
    case 'subgroupSize':
      return 'i32(subgroup_size)'
    case 'random':
      used.add('random')
      return `random(${operand.key}u, ${printTerm(kernel, operand.at, used)})`
    case 'operation':
      // Sums of products read from the left: acc + a * b + c * d.
      if (operand.op === 'rounded') {
        const name = operand.lanes === 4 ? 'rounded4' : 'rounded'
        used.add(name)
        return `${name}(${printTerm(kernel, operand.args[0]!, used)})`
      }
      if (operand.op === 'fma')
        return `${printTerm(kernel, operand.args[2]!, used)} + ${printFactor(kernel, operand.args[0]!, used)} * ${
          printFactor(kernel, operand.args[1]!, used)
        }`
      if (operand.op === 'finite') {
        const [type, mask] = operand.lanes === 4 ? ['vec4<u32>', 'vec4<u32>(0x7f800000u)'] : ['u32', '0x7f800000u']
        return `(bitcast<${type}>(${printTerm(kernel, operand.args[0]!, used)}) & ${mask}) != ${mask}`
      }
      return printOperation(kernel, operand, used)
  }
}

/** The argument at place `i` of an operator, in parentheses where it needs them. */
function printArgument(kernel: KernelFunction, op: string, i: number, argument: Operand, used: Set<string>): string {
  const text = printTerm(kernel, argument, used)
  return needsParentheses(op, i, argument) ? `(${text})` : text
}

const printFactor = (kernel: KernelFunction, factor: Operand, used: Set<string>): string => printArgument(kernel, 'mul', 1, factor, used)

function printOperation(kernel: KernelFunction, { op, args }: Extract<Operand, { kind: 'operation' }>, used: Set<string>): string {
  // There are very many of them, of three arguments at most: no list is made.
  const a = printArgument(kernel, op, 0, args[0]!, used)
  const b = args.length > 1 ? printArgument(kernel, op, 1, args[1]!, used) : ''
  const c = args.length > 2 ? printArgument(kernel, op, 2, args[2]!, used) : ''
  switch (op) {
    case 'add':
    case 'iadd':
      return b.startsWith('-') ? `${a} - ${b.slice(1)}` : `${a} + ${b}`
    case 'sub':
      return `${a} - ${b.startsWith('-') ? `(${b})` : b}`
    case 'mul':
    case 'imul':
      return `${a} * ${b}`
    case 'div':
    case 'idiv':
      return `${a} / ${b}`
    case 'irem':
      return `${a} % ${b}`
    case 'neg':
      return `-(${a})`
    case 'lt':
      return `${a} < ${b}`
    case 'le':
      return `${a} <= ${b}`
    case 'eq':
    case 'ieq':
      return `${a} == ${b}`
    case 'and':
      return `${a} && ${b}`
    case 'andnot':
      return a === 'true' ? `!(${b})` : `${a} && !(${b})`
    case 'within':
      return `u32(${a}) < u32(${b})`
    case 'select':
      return `select(${c}, ${b}, ${a})`
    case 'float':
      return `f32(${a})`
    case 'erf':
      used.add('erf')
      return `erf(${a})`
    case 'tanh':
      used.add('tanh')
      return `tanh_safe(${a})`
    default:
      return `${op}(${[a, b, c].slice(0, args.length).join(', ')})`
  }
}

const LARGEST = '3.4028234663852886e38'

/** A literal that reads back as the same float32, and is not beyond the largest; WGSL has none for infinity, so that one stands for it. */
function printFloat(value: number): string {
  if (Math.abs(value) === Infinity) return value > 0 ? `${LARGEST}f` : `-${LARGEST}f`
  const rounded = Math.fround(value)
  const short = String(value)
  const text = Math.fround(Number(short)) === rounded && Math.abs(value) <= Number(LARGEST) ? short : String(rounded)
  return /[.e]/.test(text) ? text.replace('e+', 'e') + (text.includes('e') ? 'f' : '') : `${text}.0`
}

/** How tightly operators bind; all else is printed as a call. */
const PRECEDENCE: Readonly<Record<string, number>> = {
  and: 0,
  andnot: 0,
  lt: 1,
  le: 1,
  eq: 1,
  ieq: 1,
  within: 1,
  finite: 1,
  add: 2,
  iadd: 2,
  sub: 2,
  fma: 2,
  mul: 3,
  imul: 3,
  div: 3,
  idiv: 3,
  irem: 3,
  neg: 4,
}

/** Whether the argument at place `i` of an operator needs parentheses. WGSL wants them between comparisons and `&&`, too. */
function needsParentheses(op: string, i: number, argument: Operand): boolean {
  if (argument.kind === 'batch') return argument.chunks !== 1
  if (argument.kind !== 'operation' || op === 'neg' || op === 'within') return false
  const [outer, inner] = [PRECEDENCE[op], PRECEDENCE[argument.op]]
  if (outer === undefined || inner === undefined) return false
  if (outer < 2) return inner < 2
  return inner < outer || (i > 0 && inner === outer)
}
