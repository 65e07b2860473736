import { type Group, type KernelEntry, SECTION_MARK } from '../../bundle/format.ts'
import type { PrintedKernel } from '../codegen/printed-kernel.ts'
import { onceByNode } from '../ir/once-by-node.ts'

/** The header of a shared kernel's text names at most this many layers. */
const MOST_NAMED = 6

interface Kept {
  readonly entry: KernelEntry
  readonly text: string
  readonly subgroups?: string
  /** Names of all dispatches that run it. */
  readonly users: Set<string>
}

/** The kernels of a plan, each text once: those that differ in names alone are one, under the names of its first user. */
export class KernelTexts {
  private readonly target: string
  private readonly extension: string
  /** Whether the target links kernels to a module. Then their texts are read by nobody and need no header. */
  private readonly linked: boolean
  private readonly kept: Kept[] = []
  /** Kernels by their texts without names, then by how they access their bindings. */
  private readonly index = new Map<string, Map<string, number>>()
  private readonly sections = new Set<string>()

  /** `extension`: of the files with the texts. */
  constructor(target: string, extension: string, linked: boolean) {
    this.target = target
    this.extension = extension
    this.linked = linked
  }

  /** Index of a kernel, a new one if need be. `group`: of the program that runs it. */
  indexOf(kernel: PrintedKernel, user: string, group: Group): number {
    const { bindings, workgroup, nameless } = kernel
    const access = this.linked ? '' : bindings.map((b) => b.access).join()
    const index = this.indicesOf(nameless ?? kernel.text)
    const known = index.get(access)
    if (known !== undefined) {
      this.kept[known]!.users.add(user)
      return known
    }
    const { text, subgroups } = this.linked ? kernel : textsOf(kernel)
    const place = this.linked ? {} : {
      file: `${this.target}/${group}.${this.extension}`,
      section: this.section(user),
      ...(subgroups !== undefined && { subgroups: this.section(`${user}.subgroups`) }),
    }
    const entry: KernelEntry = {
      name: user,
      ...place,
      bindings: bindings.map((b) => ({ name: b.name, access: b.access, type: b.tensor.type })),
      workgroup,
    }
    this.kept.push({ entry, text, users: new Set([user]), ...(subgroups !== undefined && { subgroups }) })
    index.set(access, this.kept.length - 1)
    return this.kept.length - 1
  }

  private indicesOf(text: string): Map<string, number> {
    const known = this.index.get(text) ?? new Map<string, number>()
    this.index.set(text, known)
    return known
  }

  get entries(): readonly KernelEntry[] {
    return this.kept.map(({ entry }) => entry)
  }

  get all(): readonly string[] {
    return this.kept.map(({ text }) => text)
  }

  /** The files: one section a text. */
  files(): Map<string, string> {
    const files = new Map<string, string[]>()
    for (const { entry: { file, section, subgroups: other }, text, subgroups, users } of this.kept) {
      const shared = alsoFor([...users].slice(1))
      const written = files.get(file!) ?? []
      files.set(file!, written)
      for (const [name, code] of [[section, text], [other, subgroups]])
        if (code !== undefined) written.push(`${SECTION_MARK}${name}\n${shared}${code}`)
    }
    return new Map([...files].map(([file, written]) => [file, written.join('\n')]))
  }

  private section(wanted: string): string {
    let name = wanted
    for (let i = 2; this.sections.has(name); i++) name = `${wanted}-${i}`
    this.sections.add(name)
    return name
  }
}

/** A printer fills names in when it is asked for a text: once for a kernel that several compilations have. */
const textsOf = onceByNode(({ text, subgroups }: PrintedKernel) => ({ text, subgroups }))

function alsoFor(users: readonly string[]): string {
  if (users.length === 0) return ''
  const more = users.length - MOST_NAMED
  return `// the same for ${users.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}\n`
}
