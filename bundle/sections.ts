import { SECTION_MARK } from './format.ts'

/** A part of a file of kernels. */
export interface Section {
  readonly text: string
  /** The line of the file that its first line is, from 1 on. */
  readonly line: number
}

/** The sections of a file by their names; see SECTION_MARK. What stands before the first belongs to none. */
export function sectionsOf(file: string): Map<string, Section> {
  const sections = new Map<string, Section>()
  let line = 1
  let name: string | undefined
  let from = 0
  const end = (to: number): void => {
    if (name === undefined) return
    const text = file.slice(from, to)
    sections.set(name, { text, line })
    line += text.split('\n').length - 1
  }
  for (let at = file.startsWith(SECTION_MARK) ? 0 : next(file, 0); at >= 0; at = next(file, from)) {
    if (name === undefined) line += file.slice(0, at).split('\n').length - 1
    end(at)
    const stop = file.indexOf('\n', at)
    name = file.slice(at + SECTION_MARK.length, stop < 0 ? file.length : stop).trimEnd()
    from = stop < 0 ? file.length : stop + 1
    line++
  }
  end(file.length)
  return sections
}

/** The start of the next line that begins a section; -1 where there is none. */
function next(file: string, from: number): number {
  if (from > 0 && file.startsWith(SECTION_MARK, from)) return from
  const found = file.indexOf(`\n${SECTION_MARK}`, from)
  return found < 0 ? -1 : found + 1
}
