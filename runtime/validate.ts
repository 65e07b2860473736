import { BundleError, type Problem } from './errors.ts'
import type { Bundle, Plan } from './format.ts'
import { sealedText, sha256 } from './seal.ts'
import { sizeAt, tensorEnd } from './sizes.ts'
import { problemsOf } from './validate/problems.ts'

/**
 * Refuses a bundle whose parts do not agree. First its form (`validate/form.ts`), so that nothing behind it can trip over a missing
 * field; then its relations: sizes, offsets, indices and names; then hashes.
 */

export { problemsOf } from './validate/problems.ts'

/**
 * Refuses with a BundleError that tells every problem. `sealed`: it comes from a file, so the manifest's own hash must be
 * there. Returns notes: what could not be checked.
 */
export async function checkBundle(bundle: Bundle, options: { sealed?: boolean; targets?: readonly string[] } = {}): Promise<string[]> {
  const { manifest, files } = bundle
  const problems = problemsOf(manifest, files, options.targets)
  if (options.sealed && problems.length === 0 && manifest.sha256 === undefined) problems.push({ path: 'sha256', message: 'is missing' })
  if (problems.length) throw new BundleError(problems)
  const wanted: [path: string, hash: string, data: string | Uint8Array, of: string][] = []
  if (manifest.sha256) wanted.push(['sha256', manifest.sha256, sealedText(manifest), 'the manifest'])
  for (const [target, p] of Object.entries(manifest.plans)) {
    const check = (path: string, file: string, hash: string | undefined): void => {
      const data = files.get(file)
      if (options.sealed && hash === undefined) problems.push({ path, message: 'is missing' })
      if (data !== undefined && hash) wanted.push([path, hash, data, file])
    }
    p.kernels.forEach((k, i) => {
      check(`plans.${target}.kernels[${i}].sha256`, k.file, k.sha256)
      if (k.subgroups !== undefined) check(`plans.${target}.kernels[${i}].subgroupsSha256`, k.subgroups, k.subgroupsSha256)
    })
    if (p.module) {
      check(`plans.${target}.module.sha256`, p.module.file, p.module.sha256)
      check(`plans.${target}.module.relaxedSha256`, p.module.relaxed, p.module.relaxedSha256)
    }
  }
  // Kernels may share a file.
  const hashes = new Map<string | Uint8Array, Promise<string | undefined>>()
  const hashOf = (data: string | Uint8Array): Promise<string | undefined> => {
    const known = hashes.get(data) ?? sha256(data)
    hashes.set(data, known)
    return known
  }
  const found = await Promise.all(wanted.map(([, , data]) => hashOf(data)))
  wanted.forEach(([path, hash, , of], i) => {
    if (found[i] !== undefined && found[i] !== hash) problems.push({ path, message: `${of} was changed: its hash is ${found[i]}` })
  })
  if (problems.length) throw new BundleError(problems)
  return found.includes(undefined) ? ['hashes were not checked: WebCrypto is missing (the page is not served securely)'] : []
}

/** At one batch, exactly: every tensor ends within its buffer. What `load` relies on. */
export function checkBatch(plan: Plan, batch: number): void {
  const problems: Problem[] = []
  plan.tensors.forEach((t, i) => {
    const b = plan.buffers[t.buffer]!
    if (b.role !== 'scratch' && tensorEnd(t, batch) > sizeAt(b.elements, batch)) {
      problems.push({ path: `plans.${plan.target}.tensors[${i}]`, message: `${t.name} does not fit into buffer ${b.name} at batch ${batch}` })
    }
  })
  if (problems.length) throw new BundleError(problems)
}
