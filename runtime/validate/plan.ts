import { type Bundle, HALF_PLAN, type Manifest, type Plan, SOFTWARE_PLAN } from '../format.ts'
import { elementCount, inputTensor, showShape, sizeAt, tensorEnd } from '../sizes.ts'
import { MOST_THREAD_BYTES } from './limits.ts'
import { checkProgram } from './program.ts'
import type { Report } from './report.ts'

const isWgsl = ({ target }: Plan): boolean => target === 'webgpu' || target === HALF_PLAN || target === SOFTWARE_PLAN

export function checkPlan(manifest: Manifest, p: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
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
      if (!(other < i) || p.tensors[other]!.buffer !== t.buffer || b.role !== 'scratch') report(`${path}.behind`, `${t.name} cannot lie behind tensor ${other}: one before it in the same scratch buffer is wanted`)
    }
    if (t.type === 'f16' && (p.target !== HALF_PLAN || (b.role !== 'scratch' && b.role !== 'prepared'))) report(`${path}.type`, `f16 in buffer ${b.name} of ${at}: it can be prepared or scratch of ${HALF_PLAN}`)
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
      if (homes[0] && end > homes[0].elements.fixed) report(`parameters[${i}].offset`, `${q.name} ends at ${end}, buffer ${homes[0].name} at ${homes[0].elements.fixed}`)
    }
  }
  manifest.inputs.forEach((input, i) => {
    const buffer = p.buffers.findIndex((b) => b.name === `input.${input.name}`)
    if (buffer < 0) return
    const t = p.tensors[inputTensor(p, input)]
    if (p.buffers[buffer]!.role !== 'input') report(`${at}.buffers[${buffer}].role`, `${input.name} is an input`)
    else if (!t) report(`inputs[${i}].shape`, `no tensor in ${at} is ${showShape(input.shape)}`)
    else if (t.type !== input.type) report(`inputs[${i}].type`, `${input.name} is ${input.type}, its tensor in ${at} ${t.type}`)
  })
  const inputs = new Set(manifest.inputs.map((input) => `input.${input.name}`))
  p.buffers.forEach((b, i) => {
    if (b.role === 'input' && !inputs.has(b.name)) report(`${at}.buffers[${i}].name`, `${b.name} belongs to no input`)
  })
  p.kernels.forEach((k, i) => {
    const path = `${at}.kernels[${i}]`
    for (const key of ['file', 'subgroups'] as const) {
      const name = k[key]
      const text = name === undefined ? undefined : files?.get(name)
      if (files && name !== undefined && text === undefined) report(`${path}.${key}`, `${name} is not there`)
      if (text !== undefined && isWgsl(p) && typeof text !== 'string') report(`${path}.${key}`, `${name} is not a text`)
    }
    if (k.subgroups !== undefined && !isWgsl(p)) report(`${path}.subgroups`, `only WGSL has subgroups`)
    if (k.workgroup > 1024) report(`${path}.workgroup`, `${k.workgroup} is more than any WebGPU runs`)
  })
  if (p.target === 'wasm') checkModule(p, at, files, report)
  for (const [program, entry] of Object.entries(p.programs)) checkProgram(manifest, p, entry, isWgsl(p), `${at}.programs.${program}`, report)
  for (const { name: n, role } of manifest.outputs) {
    const program = role === 'output' ? 'infer' : 'eval'
    if (!p.programs[program]) report(`${at}.programs.${program}`, 'is missing')
    else if (!Object.hasOwn(p.programs[program].results, n)) report(`${at}.programs.${program}.results`, `${n} is missing`)
  }
}

function checkModule({ module, kernels }: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
  if (!module) return report(`${at}.module`, 'is missing')
  if (module.threadBytes > MOST_THREAD_BYTES) report(`${at}.module.threadBytes`, `${module.threadBytes} bytes a thread are absurd`)
  for (const key of ['file', 'relaxed'] as const) {
    const data = files?.get(module[key])
    if (files && data === undefined) report(`${at}.module.${key}`, `${module[key]} is not there`)
    if (typeof data === 'string') report(`${at}.module.${key}`, `${module[key]} is a text`)
  }
  kernels.forEach((k, i) => {
    if (k.file !== module.file) report(`${at}.kernels[${i}].file`, `all kernels lie in ${module.file}`)
  })
}
