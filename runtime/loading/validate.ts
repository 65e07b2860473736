import { BundleError, type Problem } from '../../bundle/errors.ts'
import type { Bundle, Plan } from '../../bundle/format.ts'
import { noBundle } from '../../bundle/options.ts'
import { isNamed, say } from '../../bundle/plain.ts'
import { sizeAt, tensorEnd } from '../../bundle/sizes.ts'
import { problemsOf } from '../../bundle/validate/problems.ts'
import { launchProblems } from '../../bundle/validate/program.ts'

/**
 * Refuses a bundle whose parts do not agree. First its form (`validate/form.ts`), so that nothing behind it can trip over a missing
 * field; then its relations: sizes, offsets, indices and names. Hashes are of files: `found.ts`.
 */

export { problemsOf } from '../../bundle/validate/problems.ts'

/** Refuses with a BundleError that tells every problem of a bundle in memory. */
export function checkBundle(bundle: Bundle): void {
  if (!isNamed(bundle)) throw noBundle(bundle)
  const { manifest, files, weights } = bundle
  if (!(files instanceof Map))
    throw new BundleError([{ path: 'files', message: `a Map of texts and modules by their names is wanted, here is ${say(files)}` }])
  if (weights !== undefined && !(weights instanceof Map))
    throw new BundleError([{ path: 'weights', message: `a Map of tensors by their names is wanted, here is ${say(weights)}` }])
  const problems = problemsOf(manifest, files)
  if (problems.length) throw new BundleError(problems)
}

/** Checks a plan at one batch, exactly: every tensor ends within its buffer, and no dispatch runs on and on. `load` relies on it. Throws BundleError. */
export function checkBatch(plan: Plan, batch: number): void {
  const problems: Problem[] = Object.entries(plan.programs).flatMap(([name, program]) =>
    launchProblems(plan, program, batch, `plans.${plan.target}.programs.${name}`)
  )
  plan.tensors.forEach((t, i) => {
    const b = plan.buffers[t.buffer]!
    if (b.role !== 'scratch' && tensorEnd(t, batch) > sizeAt(b.elements, batch)) {
      problems.push({
        path: `plans.${plan.target}.tensors[${i}]`,
        message: `${t.name} does not fit into buffer ${b.name} at batch ${batch}`,
      })
    }
  })
  if (problems.length) throw new BundleError(problems)
}
