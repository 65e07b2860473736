import type { Storage } from '../../bundle/format.ts'
import type { Target } from './target.ts'
import { wasm } from './wasm/target.ts'
import { wgsl, wgslHalf, wgslSoftware } from './wgsl/target.ts'

/** The table of targets: one for each kind of plan of `bundle/plans.ts`, in that order. A new target is a folder beside this file, and a row. */
export const TARGETS: readonly Target[] = [wgsl, wasm, wgslHalf, wgslSoftware]

/** The target whose kernels are shown unless told otherwise. */
export const DEFAULT_TARGET = wgsl

/** The targets that are named; by default those for every device, and what `storage` and `software` add. */
export function chooseTargets(
  { targets, storage, software = false }: { targets?: readonly string[]; storage?: Storage; software?: boolean },
): readonly Target[] {
  if (targets) return TARGETS.filter(({ name }) => targets.includes(name))
  return TARGETS.filter((target) => (target.storage !== 'f16' || storage === 'f16') && (!target.software || software))
}
