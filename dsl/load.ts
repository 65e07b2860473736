import type { FileAst } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { evaluate } from './evaluate.ts'
import { parse } from './parse.ts'
import type { Program } from './program.ts'
import { Reporter } from './reporter.ts'
import type { Vocabulary } from './signature.ts'
import type { Source } from './source.ts'

/** Gives the text of `import "./path"` in a file: the language reads no files itself. The same file has the same name, whoever asks. */
export type ReadImport = (path: string, from: Source) => Source | undefined

export interface Loaded {
  readonly ast: FileAst
  /** All files that it imports and these import, each once. */
  readonly imports: readonly FileAst[]
  /** Whether an imported file is missing. */
  readonly incomplete: boolean
  /** Syntax errors of all files; `import/...` */
  readonly diagnostics: readonly Diagnostic[]
}

const MOST_FILES = 10_000
const MOST_SHOWN = 6

/** `a imports b imports a`; of many, the first and the last ones. */
const circle = (files: readonly string[]): string =>
  (files.length > MOST_SHOWN ? [...files.slice(0, MOST_SHOWN / 2), '...', ...files.slice(-MOST_SHOWN / 2)] : files).join(' imports ')

/** Parses a text and what it imports. */
export function load(source: Source, readImport?: ReadImport): Loaded {
  const report = new Reporter()
  const syntax: Diagnostic[] = []
  const read = (from: Source): FileAst => {
    const { ast, diagnostics } = parse(from)
    for (const diagnostic of diagnostics) syntax.push(diagnostic)
    return ast
  }
  const imports: FileAst[] = []
  const done = new Set([source.file])
  let incomplete = false
  /** Follows the imports of a file, and theirs before its next one. */
  const follow = (main: FileAst): void => {
    const open = [{ file: main, from: source, next: 0 }]
    const names = new Map([[source.file, 0]])
    for (let top = open.at(-1); top; top = open.at(-1)) {
      const wanted = top.file.imports[top.next++]
      if (!wanted) {
        names.delete(top.from.file)
        open.pop()
        continue
      }
      const { path, span } = wanted
      const found = readImport?.(path, top.from)
      const before = found && names.get(found.file)
      if (!found) {
        incomplete = true
        report.error('import/missing', `${readImport ? 'there is no file' : 'imports cannot be followed here:'} ${shown(path)}`, span)
      } else if (before !== undefined) {
        report.error(
          'import/cycle',
          `${circle([...open.slice(before).map(({ from }) => from.file), found.file])}: none of them can be read first`,
          span,
          { hint: 'move what both need into a file of its own' },
        )
      } else if (!done.has(found.file)) {
        if (imports.length >= MOST_FILES) {
          report.error('limit/too-large', `a net is made of at most ${MOST_FILES} files`, span)
          return
        }
        done.add(found.file)
        const ast = read(found)
        imports.push(ast)
        names.set(found.file, open.length)
        open.push({ file: ast, from: found, next: 0 })
      }
    }
  }
  const ast = read(source)
  follow(ast)
  return { ast, imports, incomplete, diagnostics: [...syntax, ...report.diagnostics] }
}

export interface LoadOptions {
  readonly vocabulary: Vocabulary
  readonly readImport?: ReadImport
}

export interface LoadedProgram {
  /** The program that the files mean. Absent when there is an error. */
  readonly program?: Program
  /** Every independent mistake; warnings only where there are no errors. */
  readonly diagnostics: readonly Diagnostic[]
}

/** Text to program: parses, follows imports, expands. Never throws on what a person wrote. */
export function loadProgram(source: Source, { vocabulary, readImport }: LoadOptions): LoadedProgram {
  const { ast, imports, incomplete, diagnostics } = load(source, readImport)
  const evaluated = evaluate(ast, vocabulary, { imports, incomplete })
  const all = inOrder([...diagnostics, ...evaluated.diagnostics], [ast, ...imports])
  const errors = all.filter((d) => d.severity === 'error')
  if (errors.length > 0) return { diagnostics: errors }
  return { ...evaluated, diagnostics: all }
}

/** Sorts diagnostics by their position in the text, the first file's first. */
function inOrder(diagnostics: readonly Diagnostic[], files: readonly FileAst[]): Diagnostic[] {
  const rank = new Map(files.map(({ span }, i) => [span.source, i]))
  const place = ({ labels }: Diagnostic): number[] => [rank.get(labels[0]!.span.source) ?? 0, labels[0]!.span.start]
  return [...diagnostics].sort((a, b) => {
    const [[fileA, startA], [fileB, startB]] = [place(a), place(b)] as [[number, number], [number, number]]
    return fileA - fileB || startA - startB
  })
}

/** Quoted where a reader would not see where the path ends: none, blanks, a stop. */
const shown = (path: string): string => (/^\S(.*[^.\s])?$/s.test(path) ? path : JSON.stringify(path))
