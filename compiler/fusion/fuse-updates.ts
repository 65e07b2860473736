import { hasReduction } from '../ir/analysis.ts'
import { substitute, topDown } from '../ir/rewrite.ts'
import { substitute as substituteIndex } from '../ir/affine.ts'
import { joinedName } from '../ir/inline.ts'
import { type Equation, reads, writes } from '../ir/equation.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import { type FusionContext, isUnfused, type KernelPass, storageOf } from './kernel-pass.ts'
import type { KernelNode, KernelProgram } from './program.ts'

/**
 * Computes an element-wise update of a small result in the kernel that makes the result, at the same point: running statistics in the
 * kernel that merges a batch's.
 */
export const fuseUpdates: KernelPass = {
  name: 'fuse-updates',
  run(program, context) {
    for (const node of program.all()) {
      const { equation } = node
      if (isUnfused(equation, context) || equation.moments || equation.sums || equation.axes.some((a) => typeof a.extent !== 'number'))
        continue
      tryJoin(node, program, context)
    }
  },
}

function tryJoin(node: KernelNode, program: KernelProgram, context: FusionContext): void {
  const { equation } = node
  const producers = new Set(reads(equation).flatMap((t) => program.writers(t).filter((other) => other.order < node.order)))
  for (const producer of producers) {
    if (isUnfused(producer.equation, context)) continue
    const isBetween = (other: KernelNode): boolean => producer.order < other.order && other.order < node.order
    const meets = reads(equation).some((t) => program.writers(storageOf(t, context)).some(isBetween)) ||
      writes(equation).some((t) => [...program.readers(t), ...program.writers(t)].some(isBetween))
    const joined = meets ? undefined : joinUpdates('', producer.equation, equation)
    if (!joined || new Set([...reads(joined), ...writes(joined)]).size > context.maxBindings) continue
    program.set(producer, joined)
    program.remark(producer, `${equation.name} is made here too`, ...node.why)
    program.remove(node)
    return
  }
}

/**
 * Both as one equation, where the second makes something of what the first makes at the same point: running statistics of a
 * batch's. Undefined where it reads other points too, or sums up.
 */
const joinUpdates = onceByNodes((_, first: Equation, second: Equation): Equation | undefined => {
  const { axes } = first
  const alike = axes.length === second.axes.length &&
    second.axes.every((a, d) => typeof a.extent === 'number' && a.extent === axes[d]!.extent)
  if (!alike || second.sides.length > 0 || second.stores.some((s) => hasReduction(s.value))) return undefined
  if (writes(second).some((t) => reads(first).includes(t) || writes(first).includes(t))) return undefined
  // Their counters are one place, which a kernel binds once.
  if (first.stores.some((s) => s.counts) && second.stores.some((s) => s.counts)) return undefined
  const map = new Map(second.axes.map((a, d) => [a, axes[d]!] as const))
  let fits = true
  const made = topDown((e) => {
    if (e.kind !== 'load' || !writes(first).includes(e.tensor)) return undefined
    const stored = first.stores.find((s) => s.tensor === e.tensor && s.at.every((index, d) => index.key === e.at[d]!.key))
    if (!stored) fits = false
    return stored?.value
  })
  const stores = second.stores.map((s) => ({
    ...s,
    at: s.at.map((index) => substituteIndex(index, map)),
    value: made(substitute(s.value, map)),
  }))
  return fits
    ? {
      ...first,
      name: joinedName(first.name, second.name),
      layers: [...new Set([...first.layers, ...second.layers])],
      stores: [...first.stores, ...stores],
    } : undefined
})
