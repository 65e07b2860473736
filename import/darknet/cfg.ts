import type { ImportProblem } from '../import-error.ts'

/** A line `key=value` of a section, spaces taken out as Darknet takes them out. */
export interface Option {
  readonly key: string
  readonly value: string
  /** Counted from 1. */
  readonly line: number
}

/** A section: `[convolutional]` and the lines below it. */
export interface Section {
  /** What stands between the brackets. */
  readonly kind: string
  readonly line: number
  readonly options: readonly Option[]
}

/** A file of many sections costs time; no net that Darknet could open has as many. */
const MOST_SECTIONS = 5000
const LONGEST_LINE = 100_000

/**
 * Reads the text of a `.cfg` file as Darknet's parser does: spaces and tabs count nowhere, a line that begins with `#` or `;` is a remark, a
 * line without anything behind its `=` is left out. What Darknet would stumble over (a line without `=`, one before the first section) is a
 * problem; returns are spaces, so that files written on Windows are read too.
 */
export function readCfg(name: string, text: string): { sections: Section[]; problems: ImportProblem[] } {
  const sections: { kind: string; line: number; options: Option[] }[] = []
  const problems: ImportProblem[] = []
  const lines = text.split('\n')
  for (const [i, raw] of lines.entries()) {
    const line = i + 1
    if (raw.length > LONGEST_LINE) {
      problems.push({ where: `${name}:${line}`, what: `a line of ${raw.length} characters is no line of a .cfg file` })
      continue
    }
    const stripped = raw.replace(/[ \t\r\v\f\uFEFF]/g, '')
    if (stripped === '' || stripped.startsWith('#') || stripped.startsWith(';')) continue
    if (stripped.startsWith('[')) {
      const kind = /^\[([^\][]*)\]/.exec(stripped)?.[1]
      if (kind === undefined)
        problems.push({ where: `${name}:${line}`, what: `${show(stripped)} begins a section and has no ]`, mend: 'write [convolutional]' })
      sections.push({ kind: kind ?? stripped.slice(1), line, options: [] })
      if (sections.length > MOST_SECTIONS) {
        problems.push({ where: `${name}:${line}`, what: `more than ${MOST_SECTIONS} sections` })
        break
      }
      continue
    }
    const at = stripped.indexOf('=')
    const section = sections.at(-1)
    if (at === -1) problems.push({ where: `${name}:${line}`, what: `${show(stripped)} is neither a section nor key=value` })
    else if (!section) {
      problems.push({ where: `${name}:${line}`, what: `${show(stripped)} stands before the first section`, mend: 'begin with [net]' })
    } else if (at < stripped.length - 1) section.options.push({ key: stripped.slice(0, at), value: stripped.slice(at + 1), line })
    if (problems.length >= 100) break
  }
  return { sections, problems }
}

/** A text of a file, cut for a message. */
export const show = (text: string): string => `'${text.length > 40 ? `${text.slice(0, 40)}...` : text}'`
