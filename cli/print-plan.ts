import { planKind } from '../bundle/plans.ts'
import { type Manifest, modulesFor } from '../bundle/format.ts'
import { placesAt } from '../bundle/layout.ts'
import { showShape, sizeAt } from '../bundle/sizes.ts'
import { showBytes } from './screen.ts'

/** A program as its host runs it: the buffers it touches, who lives in each, and every dispatch with its bindings. */
export function printPlan(manifest: Manifest, target: string, program: string, batch: number): string {
  const { buffers, tensors, kernels, programs } = manifest.plans[target]!
  const { dispatches, results } = programs[program]!
  const touched = [...new Set([...dispatches.flatMap((d) => d.tensors), ...Object.values(results)])].sort((a, b) => a - b)
  const { offsets, sizes } = placesAt(manifest.plans[target]!, batch, [program])
  const lines = ['buffers:']
  for (const [index, buffer] of buffers.entries()) {
    const inside = touched.filter((t) => tensors[t]!.buffer === index)
    if (inside.length === 0) continue
    lines.push(`  ${buffer.name}  ${buffer.role}  ${showBytes(4 * sizes[index]!)}`)
    for (const t of inside) lines.push(`    ${tensors[t]!.name} ${showShape(tensors[t]!.shape)} ${tensors[t]!.type} at ${offsets[t]!}`)
  }
  lines.push('dispatches:')
  const inModule = planKind(target)?.kernels === 'module'
  for (const [i, dispatch] of dispatches.entries()) {
    const kernel = kernels[dispatch.kernel]!
    const groups = Math.ceil(sizeAt(dispatch.invocations, batch) / kernel.workgroup)
    lines.push(
      `  ${i} ${dispatch.name}: ${
        kernel.file === undefined ? modulesFor(manifest.plans[target]!, [program]).find((module) => dispatch.kernel < module.kernels)!.file
          : `${kernel.file} ${kernel.section}`
      }, ${inModule ? `kernel ${dispatch.kernel}, ${groups} tasks` : `${groups} workgroups of ${kernel.workgroup}`}`,
    )
    for (const [b, binding] of kernel.bindings.entries())
      lines.push(`    ${binding.access === 'read' ? 'reads' : 'writes'} ${tensors[dispatch.tensors[b]!]!.name} as ${binding.name}`)
  }
  lines.push('results:', ...Object.entries(results).map(([name, t]) => `  ${name} = ${tensors[t]!.name}`))
  return `${lines.join('\n')}\n`
}
