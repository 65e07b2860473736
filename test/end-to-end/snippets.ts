/** One fenced block of a text. */
export interface Snippet {
  readonly file: string
  /** Of its first line, from 1. */
  readonly line: number
  readonly language: string
  readonly text: string
}

/** All fenced blocks of a Markdown text. */
export function snippetsOf(file: string, markdown: string): Snippet[] {
  const found: Snippet[] = []
  const lines = markdown.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const fence = /^```(\w*)$/.exec(lines[i]!)
    if (!fence) continue
    const start = ++i
    while (i < lines.length && lines[i] !== '```') i++
    found.push({ file, line: start + 1, language: fence[1]!, text: lines.slice(start, i).join('\n') })
  }
  return found
}

/** What a block is. `sh` and `net` are told by their text where no language is named. */
export function kindOf({ language, text }: Snippet): 'script' | 'page' | 'program' | 'statement' | 'commands' | 'files' {
  // What needs a page (a canvas, IndexedDB, a worker) says so in its first line.
  if (language === 'js' || language === 'ts') return text.startsWith('// in a page') ? 'page' : 'script'
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (/^net \w+ \{/.test(text)) return 'program'
  if (lines.every((line) => /^(fusenet|npm|npx|node) /.test(line))) return 'commands'
  if (/^\w+\/$/.test(lines[0]!) && lines.slice(1).every((line) => /^ {2}[\w./-]+( |$)/.test(line))) return 'files'
  if (/^\w+ = .*->/.test(text)) return 'statement'
  throw new Error(`what is this block? It is no program, no statement, no commands and no list of files:\n${text}`)
}

/** The words of a command line; what follows a # is a remark. */
export const wordsOf = (line: string): string[] => line.replace(/\s#.*/, '').trim().split(/\s+/).map((word) => word.replace(/^'(.*)'$|^"(.*)"$/, '$1$2'))
