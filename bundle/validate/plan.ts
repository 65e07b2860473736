import { type Bundle, type Manifest, modulesFor, type Plan } from '../format.ts'
import { HALF_PLAN, planKind } from '../plans.ts'
import { sectionsOf } from '../sections.ts'
import { elementCount, inputTensor, showShape, sizeAt, tensorEnd } from '../sizes.ts'
import { MOST_THREAD_BYTES } from './limits.ts'
import { checkProgram } from './program.ts'
import { say } from '../plain.ts'
import type { Report } from './report.ts'

export function checkPlan(manifest: Manifest, p: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
  const kind = planKind(p.target)
  const isWgsl = kind?.kernels === 'texts'
  const isModule = kind?.kernels === 'module'
  p.buffers.forEach((b, i) => {
    const path = `${at}.buffers[${i}]`
    if (b.role !== 'scratch' && sizeAt(b.elements, 1) < 1) report(`${path}.elements`, 'a buffer without elements')
    const given = b.data?.reduce((sum, run) => sum + run.times * run.values.length, 0) ?? 0
    if (given > b.elements.fixed) report(`${path}.data`, `${given} numbers do not fit into ${b.elements.fixed}`)
  })
  p.tensors.forEach((t, i) => {
    const path = `${at}.tensors[${i}]`
    const b = p.buffers[t.buffer]
    if (!b) return report(`${path}.buffer`, `there is no buffer ${t.buffer}`)
    for (const other of t.behind ?? []) {
      if (!(other < i) || p.tensors[other]!.buffer !== t.buffer || b.role !== 'scratch')
        report(`${path}.behind`, `${t.name} cannot lie behind tensor ${other}: one before it in the same scratch buffer is wanted`)
    }
    if (t.type === 'f16' && (kind?.storage !== 'f16' || (b.role !== 'scratch' && b.role !== 'prepared')))
      report(`${path}.type`, `f16 in buffer ${b.name} of ${at}: it can be prepared or scratch of ${HALF_PLAN}`)
    if (b.role === 'scratch') return
    const perSample = t.shape[0] === 'n' ? elementCount(t.shape) * (t.type === 'f16' ? 0.5 : 1) : 0
    if (tensorEnd(t, 1) > sizeAt(b.elements, 1) || perSample > b.elements.perSample) {
      report(`${path}.offset`, `${t.name} ${showShape(t.shape)} from ${t.offset} on does not fit into buffer ${b.name}`)
    }
  })
  for (const role of ['parameters', 'states'] as const) {
    const mine = manifest.parameters.map((q, i) => ({ q, i })).filter(({ q }) => q.trainable === (role === 'parameters'))
    const homes = p.buffers.filter((b) => b.role === role)
    if (homes.length > 1) report(`${at}.buffers`, `${homes.length} buffers of role ${role}; there can be one`)
    for (const { q, i } of mine) {
      const end = q.offset + elementCount(q.shape)
      if (homes[0] && end > homes[0].elements.fixed)
        report(`parameters[${i}].offset`, `${q.name} ends at ${end}, buffer ${homes[0].name} at ${homes[0].elements.fixed}`)
    }
  }
  const named = new Map(p.buffers.map((b, i) => [b.name, i]))
  const filled = new Set(p.tensors.map((t) => t.buffer))
  manifest.inputs.forEach((input, i) => {
    const buffer = named.get(`input.${input.name}`)
    // A part of a plan may have the buffer and none of those who read it.
    if (buffer === undefined || !filled.has(buffer)) return
    const t = p.tensors[inputTensor(p, input)]
    if (p.buffers[buffer]!.role !== 'input') report(`${at}.buffers[${buffer}].role`, `${input.name} is an input`)
    else if (!t) report(`inputs[${i}].shape`, `no tensor in ${at} is ${showShape(input.shape)}`)
    else if (t.type !== input.type) report(`inputs[${i}].type`, `${input.name} is ${input.type}, its tensor in ${at} ${t.type}`)
  })
  const inputs = new Set(manifest.inputs.map((input) => `input.${input.name}`))
  p.buffers.forEach((b, i) => {
    if (b.role !== 'input') return
    if (!inputs.has(b.name)) report(`${at}.buffers[${i}].name`, `${b.name} belongs to no input`)
    if (named.get(b.name) !== i) report(`${at}.buffers[${i}].name`, `${b.name} is there twice`)
  })
  if (isWgsl) checkTexts(p, at, files, report)
  p.kernels.forEach((k, i) => {
    if (k.workgroup > 1024) report(`${at}.kernels[${i}].workgroup`, `${k.workgroup} is more than any WebGPU runs`)
    if (isModule && k.workgroup !== 1)
      report(`${at}.kernels[${i}].workgroup`, `${k.workgroup}: tasks on a CPU are done one by one, 1 is wanted`)
  })
  if (isModule) checkModules(p, at, files, report)
  for (const [program, entry] of Object.entries(p.programs))
    checkProgram(manifest, p, entry, isWgsl, `${at}.programs.${program}`, report)
  for (const { name: n, role } of manifest.outputs) {
    const program = role === 'output' ? 'infer' : 'eval'
    if (p.programs[program] && !Object.hasOwn(p.programs[program].results, n))
      report(`${at}.programs.${program}.results`, `${n} is missing`)
  }
}

function checkTexts({ kernels }: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
  const sections = new Map<string, ReadonlyMap<string, unknown>>()
  kernels.forEach((k, i) => {
    const path = `${at}.kernels[${i}]`
    if (k.file === undefined) return report(`${path}.file`, 'is missing')
    if (k.section === undefined) return report(`${path}.section`, 'is missing')
    const text = files?.get(k.file)
    if (!files) return
    if (typeof text !== 'string') return report(`${path}.file`, `${k.file} ${text === undefined ? 'is not there' : 'is not a text'}`)
    const known = sections.get(k.file) ?? sectionsOf(text)
    sections.set(k.file, known)
    for (const key of ['section', 'subgroups'] as const) {
      if (k[key] !== undefined && !known.has(k[key])) report(`${path}.${key}`, `${k.file} has no section ${say(k[key])}`)
    }
  })
}

function checkModules(p: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
  for (const [group, { file, threadBytes, wide }] of Object.entries(p.modules ?? {})) {
    const path = `${at}.modules.${group}`
    if (threadBytes > MOST_THREAD_BYTES) report(`${path}.threadBytes`, `${threadBytes} bytes a thread are absurd`)
    for (const [field, name] of [['file', file], ...(wide === undefined ? [] : [['wide', wide] as const])] as const) {
      const data = files?.get(name)
      if (files && data === undefined) report(path, `${name} is not there`)
      if (typeof data === 'string') report(`${path}.${field}`, `${name} is a text`)
    }
  }
  for (const [program, { dispatches }] of Object.entries(p.programs)) {
    const last = modulesFor(p, [program]).at(-1)
    if (!last) report(`${at}.modules`, `there is no module for program ${program}`)
    else if (dispatches.some((d) => d.kernel >= last.kernels && d.kernel < p.kernels.length))
      report(`${at}.programs.${program}`, `runs kernels that are not in ${last.file}`)
  }
}
