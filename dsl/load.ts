import type { Block, FileAst } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { Evaluator } from './evaluate.ts'
import { parse } from './parse.ts'
import type { Program } from './program.ts'
import { Reporter } from './reporter.ts'
import type { Vocabulary } from './signature.ts'
import type { Source } from './source.ts'
import { evaluateTrain } from './train.ts'

export interface LoadOptions {
  readonly vocabulary: Vocabulary
  /** The text of `import "./path"` in a file. The language reads no files itself. */
  readonly readImport?: (path: string, from: Source) => Source | undefined
}

export interface Loaded {
  /** Absent when there is an error. */
  readonly program?: Program
  /** Every independent mistake, and warnings. */
  readonly diagnostics: readonly Diagnostic[]
}

/** Text to program: parses, follows imports, expands. Never throws on what a person wrote. */
export function loadProgram(source: Source, options: LoadOptions): Loaded {
  const report = new Reporter()
  const main = readFile(source, report)
  if (!main) return { diagnostics: report.diagnostics }
  const files = withImports(main, source, options, report)
  const definitions = { blocks: collectBlocks(files, options.vocabulary, report), constants: files.flatMap((f) => f.constants), vocabulary: options.vocabulary }
  const net = oneNet(main, report)
  const [train, another] = main.trains
  if (another) report.error('train/several', 'a file holds one train block', { ...another.span, end: another.span.start + 5 })
  const evaluator = new Evaluator(definitions, report)
  const parts = net && evaluator.net(net)
  const settings = train && evaluateTrain(train, options.vocabulary, evaluator.constantContext())
  const failed = report.diagnostics.some((d) => d.severity === 'error')
  return { ...(parts && !failed && { program: { ...parts, ...(settings && { train: settings }) } }), diagnostics: report.diagnostics }
}

function readFile(source: Source, report: Reporter): FileAst | undefined {
  const { ast, diagnostics } = parse(source)
  report.diagnostics.push(...diagnostics)
  return ast
}

function withImports(main: FileAst, source: Source, { readImport }: LoadOptions, report: Reporter): FileAst[] {
  const files: FileAst[] = [main]
  const open: string[] = [source.file]
  const done = new Set<string>([source.file])
  const follow = (file: FileAst, from: Source): void => {
    for (const { path, span } of file.imports) {
      const found = readImport?.(path, from)
      if (!found) {
        report.error('import/missing', readImport ? `there is no file ${path}` : `imports cannot be followed here: ${path}`, span)
        continue
      }
      if (open.includes(found.file)) {
        report.error('import/cycle', `${[...open.slice(open.indexOf(found.file)), found.file].join(' imports ')}`, span)
        continue
      }
      if (done.has(found.file)) continue
      done.add(found.file)
      const ast = readFile(found, report)
      if (!ast) continue
      open.push(found.file)
      follow(ast, found)
      open.pop()
      files.push(ast)
    }
  }
  follow(main, source)
  return files
}

function collectBlocks(files: readonly FileAst[], vocabulary: Vocabulary, report: Reporter): Map<string, Block> {
  const layers = new Set(vocabulary.layers.map((s) => s.name))
  const blocks = new Map<string, Block>()
  for (const block of files.flatMap((f) => f.blocks)) {
    const { text, span } = block.name
    const before = blocks.get(text)
    if (layers.has(text)) report.error('block/layer', `${text} is a layer already`, span, { hint: 'call the block something else' })
    else if (before) report.error('block/twice', `there are two blocks called ${text}`, span, { labels: [{ span: before.name.span, text: 'the other one' }] })
    else blocks.set(text, block)
  }
  return blocks
}

function oneNet(main: FileAst, report: Reporter): FileAst['nets'][number] | undefined {
  const [net, another] = main.nets
  if (!net) return report.error('net/none', 'this file holds no net', { ...main.span, end: Math.min(1, main.span.end) }, { text: 'begins here', hint: 'net NAME { input ...; output ... }' })
  if (another) report.error('net/several', 'a file holds one net', another.name.span, { labels: [{ span: net.name.span, text: 'the first one' }] })
  return net
}
