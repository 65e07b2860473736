import { noBundle } from '../../bundle/options.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../../bundle/file-names.ts'
import type { Bundle } from '../../bundle/format.ts'
import { isNamed } from '../../bundle/plain.ts'
import { packFacts, packParts } from '../../bundle/packed-plan.ts'
import { writeSafetensors } from './safetensors.ts'
import { seal, sha256 } from './seal.ts'
import { type FileEntry, splitPlan, type StoredManifest, type StoredPlan } from '../../bundle/stored.ts'

export { MANIFEST_FILE, WEIGHTS_FILE }

const encode = (data: string | Uint8Array): Uint8Array => typeof data === 'string' ? new TextEncoder().encode(data) : data

/** A bundle as the files of its folder, the manifest last. Throws InputError for what is no bundle. */
export async function bundleFiles(bundle: Bundle): Promise<Map<string, Uint8Array>> {
  if (!isNamed((bundle as Bundle | null)?.manifest))
    throw noBundle(bundle)
  const { manifest, files: texts, weights } = bundle
  const files = new Map<string, Uint8Array>()
  const plans: Record<string, StoredPlan> = {}
  for (const [target, plan] of Object.entries(manifest.plans)) {
    const { parts, facts } = splitPlan(plan)
    const packed = packParts(parts.map(({ part }) => part))
    const known = Object.keys(facts).length > 0
    plans[target] = {
      parts: parts.map(({ group, part }, i) => {
        const name = `${target}/${group}.json`
        files.set(name, encode(printRows(packed[i])))
        const kernels = [...new Set(part.kernels.flatMap((k) => k.file ?? []))]
        const module = plan.modules?.[group]
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
    if (known) files.set(`${target}/facts.json`, encode(printRows(packFacts(facts))))
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

/** JSON that a person can read and a machine need not read twice: what fits into a line is one. */
const printJson = (value: unknown): string => printed(value, ' ')
/** The same of rows of numbers, of which there are many: without indentation. */
const printRows = (value: unknown): string => printed(value, '')

function printed(value: unknown, step: string): string {
  const lines: string[] = []
  print(value, { step, indent: '', before: '', after: '' }, lines)
  return `${lines.join('\n')}\n`
}

const LINE = 160

interface Around {
  /** What each level is indented by. */
  readonly step: string
  readonly indent: string
  readonly before: string
  readonly after: string
}

function print(value: unknown, { step, indent, before, after }: Around, lines: string[]): void {
  const short = JSON.stringify(value)
  if (short.length <= LINE || typeof value !== 'object' || value === null) return void lines.push(`${indent}${before}${short}${after}`)
  const isList = Array.isArray(value)
  const items: [string, unknown][] = isList ? value.map((item) => ['', item])
    : Object.entries(value).filter(([, v]) => v !== undefined).map(([key, v]) => [`${JSON.stringify(key)}: `, v])
  lines.push(`${indent}${before}${isList ? '[' : '{'}`)
  items.forEach(([key, item], i) =>
    print(item, { step, indent: indent + step, before: key, after: i < items.length - 1 ? ',' : '' }, lines)
  )
  lines.push(`${indent}${isList ? ']' : '}'}${after}`)
}
