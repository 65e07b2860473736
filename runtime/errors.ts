import { plain } from './plain.ts'

/** What was handed in does not fit the net: a wrong name, length, type or label. Exit code 1. */
export class InputError extends Error {
  override name = 'InputError'
}

/** What does not agree in a bundle, and where: `plans.webgpu.tensors[3].offset`. */
export interface Problem {
  readonly path: string
  readonly message: string
}

/** The bundle contradicts itself, or is not one. Exit code 1. */
export class BundleError extends Error {
  override name = 'BundleError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const shown = problems.slice(0, 8).map((p) => `${plain(p.path)}: ${plain(p.message, 300)}`)
    if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`)
    super(`this bundle cannot be used:\n  ${shown.join('\n  ')}`)
    this.problems = problems
  }
}
