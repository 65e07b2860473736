import { InputError } from '../../bundle/errors.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../../bundle/file-names.ts'
import type { Bundle, ModuleEntry } from '../../bundle/format.ts'
import { isNamed, say } from '../../bundle/plain.ts'
import { writeSafetensors } from './safetensors.ts'
import { seal, sha256 } from './seal.ts'
import { type FileEntry, splitPlan, type StoredManifest, type StoredPlan } from '../../bundle/stored.ts'

export { MANIFEST_FILE, WEIGHTS_FILE }

const encode = (data: string | Uint8Array): Uint8Array => typeof data === 'string' ? new TextEncoder().encode(data) : data

/** A bundle as the files of its folder, the manifest last. Throws InputError for what is no bundle. */
export async function bundleFiles(bundle: Bundle): Promise<Map<string, Uint8Array>> {
  if (!isNamed((bundle as Bundle | null)?.manifest))
    throw new InputError(`a bundle is wanted, as compile, readBundle and net.save give it; here is ${say(bundle)}`)
  const { manifest, files: texts, weights } = bundle
  const files = new Map<string, Uint8Array>()
  const plans: Record<string, StoredPlan> = {}
  for (const [target, plan] of Object.entries(manifest.plans)) {
    const { parts, facts } = splitPlan(plan)
    const known = Object.keys(facts).length > 0
    plans[target] = {
      parts: parts.map(({ group, part }) => {
        const name = `${target}/${group}.json`
        files.set(name, encode(printJson(part)))
        const kernels = [...new Set(part.kernels.flatMap((k) => k.file ?? []))]
        const module = plan.modules?.[group] && present(plan.modules[group], texts)
        return {
          group,
          programs: Object.keys(part.programs),
          plan: name,
          ...(kernels.length > 0 && { kernels }),
          ...(module && { module }),
        }
      }),
      ...(known && { facts: `${target}/facts.json` }),
    }
    if (known) files.set(`${target}/facts.json`, encode(printJson(facts)))
  }
  for (const [name, data] of texts) files.set(name, encode(data))
  if (weights) files.set(WEIGHTS_FILE, writeSafetensors(weights))
  const entries = await Promise.all(
    [...files].map(async ([name, data]): Promise<[string, FileEntry]> => [name, { bytes: data.length, sha256: await sha256(data) }]),
  )
  const stored: Omit<StoredManifest, 'sha256'> = {
    ...manifest,
    plans,
    files: Object.fromEntries(entries),
    ...(weights && { weights: [...weights.keys()] }),
  }
  return files.set(MANIFEST_FILE, encode(printJson(await seal(stored))))
}

/** Of what was fetched to be run, one module of the two is there, and stands for both. */
const present = (module: ModuleEntry, files: Bundle['files']): ModuleEntry => ({
  ...module,
  file: files.has(module.file) ? module.file : module.relaxed,
  relaxed: files.has(module.relaxed) ? module.relaxed : module.file,
})

/** JSON that a person can read and a machine need not read twice: what fits into a line is one. */
function printJson(value: unknown): string {
  const lines: string[] = []
  print(value, '', '', '', lines)
  return `${lines.join('\n')}\n`
}

const LINE = 160

function print(value: unknown, indent: string, before: string, after: string, lines: string[]): void {
  const short = JSON.stringify(value)
  if (short.length <= LINE || typeof value !== 'object' || value === null) return void lines.push(`${indent}${before}${short}${after}`)
  const isList = Array.isArray(value)
  const items: [string, unknown][] = isList ? value.map((item) => ['', item])
    : Object.entries(value).filter(([, v]) => v !== undefined).map(([key, v]) => [`${JSON.stringify(key)}: `, v])
  lines.push(`${indent}${before}${isList ? '[' : '{'}`)
  items.forEach(([key, item], i) => print(item, `${indent} `, key, i < items.length - 1 ? ',' : '', lines))
  lines.push(`${indent}${isList ? ']' : '}'}${after}`)
}
