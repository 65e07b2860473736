import { showShape } from '../ir/tensor.ts'
import type { Extent } from '../ir/affine.ts'
import type { KernelFunction, Operand, Statement } from './kernel-function.ts'

/**
 * A kernel function as text, for people: memory, grid, then a statement a line. `%2[i]` is element `i` of the third memory of the head;
 * `x4` marks a vector of four.
 */
export function printKernelFunction(f: KernelFunction): string {
  const memories = [
    ...f.bindings.map((b) => `${b.access === 'read' ? 'read' : 'read and write'} ${b.name} ${showShape(b.tensor.shape)}`),
    ...f.packBuffers.map((b) => `pack ${b.name} ${showShape(b.tensor.shape)} at ${b.offset}`),
    ...(f.shared ?? []).map((s) => `shared ${s.name} [${s.elements}]${s.lanes === 4 ? ' x4' : ''}`),
  ]
  const grid = f.grid.map((g) => `${g.name} < ${showExtent(g.extent)}`).join(', ')
  const group = f.group ? `; workgroup ${f.group.map((g) => `${g.name} < ${g.extent}`).join(', ')}` : ''
  return [
    `kernel ${f.name}${f.subgroups ? ' (subgroups)' : ''}: grid ${grid}${group}`,
    ...memories.map((memory, i) => `  %${i} ${memory}`),
    ...linesOf(f.body, '  '),
    '',
  ].join('\n')
}

function linesOf(body: readonly Statement[], indent: string): string[] {
  return body.flatMap((s): string[] => {
    switch (s.kind) {
      case 'let':
      case 'var':
        return [`${indent}${s.kind} ${s.name}: ${s.type}${s.lanes === 4 ? ' x4' : ''} = ${text(s.value)}`]
      case 'set':
        return [`${indent}${s.name} = ${text(s.value)}`]
      case 'for': {
        const steps = `${s.from ? `from ${text(s.from)} ` : ''}${s.by ? `by ${s.by} ` : ''}`
        return [`${indent}for ${s.name} ${steps}< ${text(s.extent)}`, ...linesOf(s.body, `${indent}  `)]
      }
      case 'if':
        return [`${indent}if ${text(s.condition)}`, ...linesOf(s.body, `${indent}  `)]
      case 'step':
        return [`${indent}step`, ...linesOf(s.body, `${indent}  `)]
      case 'barrier':
        return [`${indent}barrier`]
      case 'store':
        return [`${indent}%${s.binding}[${text(s.at)}]${strideOf(s.lanes, s.step)} = ${text(s.value)}`]
      case 'storeInterleaved':
        return [`${indent}%${s.binding}[${text(s.at)}] interleaved by ${s.step} = ${s.values.map(text).join(', ')}`]
      case 'count':
        return [`${indent}%${s.binding} += count(${s.values.map(text).join(', ')})`]
    }
  })
}

const showExtent = (extent: Extent): string =>
  typeof extent === 'number' ? String(extent) : extent === 'n' ? 'n' : `ceil(n / ${extent.chunks})`

const strideOf = (lanes: 1 | 4 = 1, step = 1): string => (lanes === 1 ? '' : step === 1 ? ' x4' : ` x4 by ${step}`)

function text(operand: Operand): string {
  switch (operand.kind) {
    case 'number':
      return operand.type === 'f32' && Number.isInteger(operand.value) ? `${operand.value}.0` : String(operand.value)
    case 'truth':
      return String(operand.value)
    case 'name':
    case 'scalar':
      return operand.name
    case 'load':
      return `%${operand.binding}[${text(operand.at)}]${strideOf(operand.lanes, operand.step)}`
    case 'gather':
      return `%${operand.binding}[${operand.at.map(text).join('; ')}]`
    case 'ramp':
      return `ramp(${text(operand.from)}, ${operand.step})`
    case 'operation':
      return `${operand.op}(${operand.args.map(text).join(', ')})`
    case 'vector':
      return `(${operand.parts.map(text).join(', ')})`
    case 'lane':
      return `${text(operand.of)}.${operand.lane}`
    case 'batch':
      return operand.chunks === 1 ? 'n' : `ceil(n / ${operand.chunks})`
    case 'random':
      return `random(${operand.key}, ${text(operand.at)})`
    case 'tasksDone':
      return 'tasks_done'
    case 'subgroup':
      return `subgroup_${operand.combine}(${text(operand.of)})`
    case 'subgroupSize':
      return 'subgroup_size'
  }
}
