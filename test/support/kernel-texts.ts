import type { Bundle } from '../../bundle/format.ts'
import { sectionsOf } from '../../bundle/sections.ts'

/** Every WGSL text of a plan by its section, the second texts for subgroups among them. */
export function kernelTexts({ manifest, files }: Bundle, target: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { file, section, subgroups } of manifest.plans[target]!.kernels) {
    const sections = sectionsOf(files.get(file!) as string)
    for (const name of [section!, ...(subgroups === undefined ? [] : [subgroups])]) texts.set(name, sections.get(name)!.text)
  }
  return texts
}
