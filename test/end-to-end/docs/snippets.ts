/** One fenced block of a text. */
export interface Snippet {
  readonly file: string
  /** Of its first line, from 1. */
  readonly line: number
  readonly language: string
  readonly text: string
  /** What a remark right before the block says of it, unseen by readers: `<!-- file: digits.net -->`. */
  readonly mark: string
}

/** Languages of other tools, or of nobody: shown, not run. */
const SHOWN = [
  'text',
  'html',
  'css',
  'python',
  'prototxt',
  'ini',
  'nginx',
  'apache',
  'yaml',
  'toml',
  'wgsl',
  'wat',
  'csv',
  'math',
  'svelte',
  'vue',
  'diff',
  'jsonc',
]

export type Kind = 'script' | 'page' | 'program' | 'statement' | 'commands' | 'files' | 'json' | 'shown'

/** All fenced blocks of a Markdown text, those within lists too. */
export function snippetsOf(file: string, markdown: string): Snippet[] {
  const found: Snippet[] = []
  const lines = markdown.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const fence = /^( *)```([\w-]*)(?: .*)?$/.exec(lines[i]!)
    if (!fence) continue
    const mark = /^ *<!-- (.*) -->$/.exec(lines[i - 1] ?? '')?.[1] ?? ''
    const [, indent, language] = fence
    const start = ++i
    while (i < lines.length && lines[i]!.trim() !== '```') i++
    const text = lines.slice(start, i).map((line) => (line.startsWith(indent!) ? line.slice(indent!.length) : line)).join('\n')
    found.push({ file, line: start + 1, language: language!, text, mark })
  }
  return found
}

/** What a block is. `sh` and `net` are told by their text where no language is named. */
export function kindOf({ language, text }: Snippet): Kind {
  // What needs a page (a canvas, IndexedDB, a worker) says so in its first line.
  if (language === 'js' || language === 'ts') return text.startsWith('// in a page') ? 'page' : 'script'
  if (language === 'json') return 'json'
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (/^\w+\/$/.test(lines[0] ?? '') && lines.slice(1).every((line) => /^ {2}[\w./-]+( |$)/.test(line))) return 'files'
  if (SHOWN.includes(language)) return 'shown'
  if (language === 'sh' || lines.every((line) => /^(fusenet|npm|npx|node) /.test(line))) return 'commands'
  if (/^(import .*\n+|block [^]*\n+|\/\/.*\n+)*net \w+ \{/.test(text)) return 'program'
  if (/^\w+ += .*/.test(text)) return 'statement'
  throw new Error(`what is this block? It is no program, no statement, no commands and no list of files:\n${text}`)
}

/** The words of a command line; what follows a # is a remark. */
export const wordsOf = (line: string): string[] =>
  (line.replace(/\s#.*/, '').match(/'[^']*'|"[^"]*"|[^\s'"]+/g) ?? []).map((word) => word.replace(/^'(.*)'$|^"(.*)"$/, '$1$2'))
