import type { Problem } from '../errors.ts'
import { WEIGHTS_FILE } from '../file-names.ts'
import { FORMAT, FORMAT_VERSION, GROUPS, groupOf } from '../format.ts'
import type { StoredManifest } from '../stored.ts'
import { storedStructure } from './form.ts'
import { say } from '../plain.ts'
import type { Report } from './report.ts'

/** Everything in `bundle.json` that does not agree, but for hashes and for what lies in other files. Takes any JSON. `from`: where it is. */
export function storedProblemsOf(manifest: unknown, from = 'bundle.json'): Problem[] {
  const { format, version } = (manifest ?? {}) as { format?: unknown; version?: unknown }
  if (format !== FORMAT) return [{ path: from, message: `is no bundle of fusenet: format is ${say(format)}, not ${say(FORMAT)}` }]
  if (version !== FORMAT_VERSION) return [{ path: from, message: otherVersion(manifest, version, from) }]
  const problems: Problem[] = []
  const report: Report = (path, message) => problems.push({ path: path || from, message })
  storedStructure(manifest, '', report)
  if (problems.length) return problems
  const { plans, files, weights } = manifest as StoredManifest
  const mustBeListed = (file: string, path: string): void => {
    if (!Object.hasOwn(files, file)) report(path, `${file} is not among the files`)
  }
  for (const [target, { parts, facts }] of Object.entries(plans)) {
    if (parts.length === 0) report(`plans.${target}.parts`, 'is empty')
    parts.forEach(({ group, programs, plan, kernels = [], module }, i) => {
      const path = `plans.${target}.parts[${i}]`
      if (i > 0 && GROUPS.indexOf(group) <= GROUPS.indexOf(parts[i - 1]!.group))
        report(`${path}.group`, `${group} stands behind ${parts[i - 1]!.group}`)
      for (const name of programs) if (groupOf(name) !== group) report(`${path}.programs`, `${say(name)} belongs to group ${groupOf(name)}`)
      for (const file of [plan, ...kernels, ...(module ? [module.file, ...(module.wide === undefined ? [] : [module.wide])] : [])])
        mustBeListed(file, path)
    })
    if (facts !== undefined) mustBeListed(facts, `plans.${target}.facts`)
  }
  if (weights) mustBeListed(WEIGHTS_FILE, 'weights')
  return problems
}

function otherVersion(manifest: unknown, version: unknown, from: string): string {
  const { source } = manifest as { source?: { files?: unknown } }
  const names = Array.isArray(source?.files)
    ? source.files.flatMap((f: { name?: unknown } | null) => (typeof f?.name === 'string' ? [say(f.name)] : [])) : []
  const folder = /^\w+:\/\//.test(from) || !from.includes('/') ? 'FOLDER' : from.slice(0, from.lastIndexOf('/'))
  const older = typeof version === 'number' && version < FORMAT_VERSION
  if (!older)
    return `is of format version ${
      say(version)
    }, this runtime reads ${FORMAT_VERSION}: it was written by another version of fusenet; use that one, or compile the net again`
  const carried = names.length > 0 ? ` from the text that it carries (${names.slice(0, 3).join(', ')}), with its weights` : ''
  return `is of format version ${version}, this runtime reads ${FORMAT_VERSION}: compile it again${carried}: fusenet compile ${folder} -o NEW_FOLDER`
}
