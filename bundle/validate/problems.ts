import type { Problem } from '../errors.ts'
import type { Bundle, Manifest } from '../format.ts'
import { say } from '../plain.ts'
import { passes } from './checks.ts'
import { checkClasses } from './classes.ts'
import { structure } from './form.ts'
import { checkParameters, distinct } from './parameters.ts'
import { checkPlan } from './plan.ts'
import type { Report } from './report.ts'

/** The greatest number of problems that are reported; a list may be long and all wrong. */
const MOST_PROBLEMS = 1000

/** Everything that does not agree, but for hashes. Takes any JSON. `files` absent: they were not read yet. */
export function problemsOf(manifest: unknown, files?: Bundle['files']): Problem[] {
  const problems: Problem[] = []
  const report: Report = (path, message) => {
    if (problems.length < MOST_PROBLEMS) problems.push({ path: path || 'bundle.json', message })
  }
  if (!passes(structure, manifest)) structure(manifest, '', report)
  if (problems.length) return problems
  const m = manifest as Manifest
  distinct(m.inputs.map((i) => i.name), 'inputs', report)
  distinct(m.outputs.map((o) => o.name), 'outputs', report)
  distinct(m.parameters.map((p) => p.name), 'parameters', report)
  checkClasses(m, report)
  checkParameters(m.parameters, report)
  for (const [target, p] of Object.entries(m.plans)) {
    if (p.target !== target) report(`plans.${target}.target`, `is ${say(p.target)}`)
    checkPlan(m, p, `plans.${target}`, files, report)
  }
  return problems
}
