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
  /** Whether one of them is not there. */
  readonly incomplete: boolean
  /** Syntax errors of all files; `import/...` */
  readonly diagnostics: readonly Diagnostic[]
}

/** Parses a text and what it imports. */
export function load(source: Source, readImport?: ReadImport): Loaded {
  const report = new Reporter()
  const syntax: Diagnostic[] = []
  const read = (from: Source): FileAst => {
    const { ast, diagnostics } = parse(from)
    syntax.push(...diagnostics)
    return ast
  }
  const imports: FileAst[] = []
  const done = new Set([source.file])
  let incomplete = false
  const follow = (file: FileAst, from: Source, open: readonly string[]): void => {
    for (const { path, span } of file.imports) {
      const found = readImport?.(path, from)
      if (!found) {
        incomplete = true
        report.error('import/missing', readImport ? `there is no file ${path}` : `imports cannot be followed here: ${path}`, span)
      } else if (open.includes(found.file)) {
        report.error('import/cycle', `${[...open.slice(open.indexOf(found.file)), found.file].join(' imports ')}: none of them can be read first`, span, { hint: 'move what both need into a file of its own' })
      } else if (!done.has(found.file)) {
        done.add(found.file)
        const ast = read(found)
        imports.push(ast)
        follow(ast, found, [...open, found.file])
      }
    }
  }
  const ast = read(source)
  follow(ast, source, [source.file])
  return { ast, imports, incomplete, diagnostics: [...syntax, ...report.diagnostics] }
}

export interface LoadOptions {
  readonly vocabulary: Vocabulary
  readonly readImport?: ReadImport
}

export interface LoadedProgram {
  /** Absent when there is an error. */
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

/** As they stand in the text, the first file's first. */
function inOrder(diagnostics: readonly Diagnostic[], files: readonly FileAst[]): Diagnostic[] {
  const rank = new Map(files.map(({ span }, i) => [span.source, i]))
  const place = ({ labels }: Diagnostic): number[] => [rank.get(labels[0]!.span.source) ?? 0, labels[0]!.span.start]
  return [...diagnostics].sort((a, b) => {
    const [[fileA, startA], [fileB, startB]] = [place(a), place(b)] as [[number, number], [number, number]]
    return fileA - fileB || startA - startB
  })
}
