import type { Problem } from '../errors.ts'
import { NON_FINITE_RESULT, type Manifest, type Plan, type ProgramEntry } from '../format.ts'
import { BINDING_ELEMENTS } from '../layout.ts'
import { elementCount, showShape, sizeAt } from '../sizes.ts'
import { FEW_GROUPS, MOST_GROUPS_AN_ELEMENT } from './limits.ts'
import type { Report } from './report.ts'

/**
 * Dispatches that would run more often than there is to write at a batch: time that nothing asks for. How long one invocation takes, no
 * check can tell.
 */
export function launchProblems(p: Plan, program: ProgramEntry, batch: number, at: string): Problem[] {
  const problems: Problem[] = []
  program.dispatches.forEach((d, i) => {
    const { bindings = [], workgroup = 1 } = p.kernels[d.kernel] ?? {}
    const written = d.tensors.reduce(
      (sum, t, b) => sum + (bindings[b]?.access === 'read_write' ? elementCount(p.tensors[t]?.shape ?? [], batch) : 0),
      0,
    )
    const groups = sizeAt(d.invocations, batch) / workgroup
    if (groups > FEW_GROUPS + MOST_GROUPS_AN_ELEMENT * written) {
      problems.push({
        path: `${at}.dispatches[${i}].invocations`,
        message: `${Math.ceil(groups)} workgroups at batch ${batch} write ${written} numbers: that is no kernel of fusenet`,
      })
    }
  })
  return problems
}

/** Checks the dispatches and results of a program against the kernels and tensors of its plan. */
export function checkProgram(manifest: Manifest, p: Plan, program: ProgramEntry, isWgsl: boolean, at: string, report: Report): void {
  if (program.needsPrepare && !p.programs['prepare']) report(`${at}.needsPrepare`, 'there is no program `prepare`')
  program.dispatches.forEach((d, i) => {
    const path = `${at}.dispatches[${i}]`
    const kernel = p.kernels[d.kernel]
    if (!kernel) return report(`${path}.kernel`, `there is no kernel ${d.kernel}`)
    if (d.tensors.length !== kernel.bindings.length)
      return report(`${path}.tensors`, `${kernel.name} binds ${kernel.bindings.length}, here are ${d.tensors.length}`)
    if (d.invocations.fixed + d.invocations.perSample < 1) report(`${path}.invocations`, 'nothing would run')
    const written = new Map<number, boolean>()
    d.tensors.forEach((index, b) => {
      const t = p.tensors[index]
      const binding = kernel.bindings[b]!
      if (!t) return report(`${path}.tensors[${b}]`, `there is no tensor ${index}`)
      if (t.type !== binding.type)
        report(`${path}.tensors[${b}]`, `${t.name} is ${t.type}, ${kernel.name} binds ${binding.name} as ${binding.type}`)
      if (!isWgsl) return
      if (t.offset % BINDING_ELEMENTS)
        report(`${path}.tensors[${b}]`, `${t.name} starts at ${t.offset}: WebGPU binds at multiples of ${BINDING_ELEMENTS}`)
      const write = binding.access === 'read_write'
      if ((written.get(t.buffer) ?? write) !== write)
        report(`${path}.tensors[${b}]`, `buffer ${p.buffers[t.buffer]?.name} is bound both to read and to write`)
      written.set(t.buffer, write)
    })
  })
  for (const { path, message } of launchProblems(p, program, 1, at)) report(path, message)
  const known = new Map<string, readonly (number | 'n')[]>([
    ...manifest.outputs.map((o) => [o.name, o.shape] as const),
    [NON_FINITE_RESULT, [1]],
    ...[...manifest.inputs, ...manifest.parameters].map((q) => [`grad/${q.name}`, q.shape] as const),
  ])
  for (const [n, index] of Object.entries(program.results)) {
    const t = p.tensors[index]
    const wanted = known.get(n)
    if (!t) report(`${at}.results.${n}`, `there is no tensor ${index}`)
    else if (t.type === 'f16') report(`${at}.results.${n}`, `${t.name} is f16, which no host reads`)
    else if (wanted && (elementCount(wanted, 2) !== elementCount(t.shape, 2) || elementCount(wanted, 3) !== elementCount(t.shape, 3))) {
      report(`${at}.results.${n}`, `${showShape(wanted)} is promised, tensor ${t.name} is ${showShape(t.shape)}`)
    }
  }
}
