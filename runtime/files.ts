import { BundleError, InputError } from './errors.ts'
import type { Bundle, Manifest } from './format.ts'
import { readSafetensors, writeSafetensors } from './safetensors.ts'
import { seal, sha256 } from './seal.ts'
import { checkBundle, problemsOf } from './validate.ts'

export const MANIFEST_FILE = 'bundle.json'
export const WEIGHTS_FILE = 'weights.safetensors'

/** A bundle as the files of its folder. */
export async function bundleFiles(bundle: Bundle): Promise<Map<string, Uint8Array>> {
  const encode = (data: string | Uint8Array): Uint8Array => typeof data === 'string' ? new TextEncoder().encode(data) : data
  const files = new Map([[MANIFEST_FILE, encode(`${JSON.stringify(await seal(await withHashes(bundle)), null, 1)}\n`)]])
  for (const [name, data] of bundle.files) files.set(name, encode(data))
  if (bundle.weights) files.set(WEIGHTS_FILE, writeSafetensors(bundle.weights))
  return files
}

async function withHashes({ manifest, files }: Bundle): Promise<Manifest> {
  const names = [...files.keys()]
  const found = await Promise.all(names.map((name) => sha256(files.get(name)!)))
  const hashOf = (name: string): string | undefined => found[names.indexOf(name)]
  const plans = Object.entries(manifest.plans).map(([target, plan]) => {
    const kernels = plan.kernels.map((k) => ({
      ...k, sha256: k.sha256 ?? hashOf(k.file), ...(k.subgroups && { subgroupsSha256: k.subgroupsSha256 ?? hashOf(k.subgroups) }),
    }))
    const { module } = plan
    return [target, {
      ...plan, kernels,
      ...(module && { module: { ...module, sha256: module.sha256 ?? hashOf(module.file), relaxedSha256: module.relaxedSha256 ?? hashOf(module.relaxed) } }),
    }] as const
  })
  const { weightsFile: _, ...rest } = manifest
  return { ...rest, plans: Object.fromEntries(plans) }
}

/** Where files come from: undefined for one that is not there. */
export type FileReader = (name: string) => Promise<Uint8Array | undefined>

/**
 * The other way. Reads the files that the manifest names, and refuses what does not agree. `wanted`: of these plans only; all
 * where it names none.
 */
export async function bundleFrom(read: FileReader, wanted?: (plans: readonly string[]) => readonly string[]): Promise<{ bundle: Bundle; notes: string[] }> {
  const bytes = await read(MANIFEST_FILE)
  if (!bytes) throw new BundleError([{ path: MANIFEST_FILE, message: 'is not there' }])
  const decode = (data: Uint8Array, path: string): string => {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(data)
    } catch {
      throw new BundleError([{ path, message: 'is not UTF-8' }])
    }
  }
  let manifest: Manifest
  try {
    manifest = JSON.parse(decode(bytes, MANIFEST_FILE)) as Manifest
  } catch (error) {
    throw error instanceof BundleError ? error : new BundleError([{ path: MANIFEST_FILE, message: `is not JSON: ${(error as Error).message}` }])
  }
  // The names of files are only trusted once they have the form of names.
  const malformed = problemsOf(manifest)
  if (malformed.length) throw new BundleError(malformed)
  const some = wanted?.(Object.keys(manifest.plans))
  const targets = some?.length ? some : undefined
  const names = new Set(Object.values(manifest.plans).flatMap((plan) =>
    !targets || targets.includes(plan.target) ? [...plan.kernels.flatMap((k) => (k.subgroups ? [k.file, k.subgroups] : [k.file])), ...(plan.module ? [plan.module.relaxed] : [])] : []))
  const files = new Map<string, string | Uint8Array>()
  await Promise.all([...names].map(async (name) => {
    const data = await read(name)
    if (data) files.set(name, name.endsWith('.wgsl') ? decode(data, name) : data)
  }))
  const weightsFile = manifest.weightsFile ?? WEIGHTS_FILE
  const weightBytes = await read(weightsFile)
  let bundle: Bundle = { manifest, files }
  if (weightBytes) {
    try {
      bundle = { ...bundle, weights: readSafetensors(weightBytes, weightsFile).tensors }
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      throw new BundleError([{ path: weightsFile, message: error.message.replace(`${weightsFile}: `, '') }])
    }
  }
  return { bundle, notes: await checkBundle(bundle, { sealed: true, targets }) }
}
