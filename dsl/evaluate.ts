import type { FileAst } from './ast.ts'
import { check } from './check.ts'
import type { Diagnostic } from './diagnostic.ts'
import { define } from './definitions.ts'
import { Expander } from './expand.ts'
import type { Program, TrainSettings } from './program.ts'
import { Reporter } from './reporter.ts'
import type { Vocabulary } from './signature.ts'
import { headOf } from './source.ts'
import { evaluateTrain } from './train.ts'
import { holdsBroken } from './walk.ts'

export interface EvaluateOptions {
  /** The files that it imports, and that these import: their blocks can be called. */
  readonly imports?: readonly FileAst[]
  /** Whether imported files are missing: a block with an unknown name may be defined there. */
  readonly incomplete?: boolean
}

export interface EvaluatedFile {
  /** The program that the text means. Absent when there is an error. */
  readonly program?: Program
  /** Every independent mistake; warnings where there are no errors. */
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Expands the net of a file to a flat list of layer calls. What is wrong is told once, not again by what depends on it; what
 * is never expanded (blocks that nobody calls, branches not taken) is checked as far as it can be without values. Never
 * throws, and ends: what runs away is told (`limit/...`).
 */
export function evaluate(ast: FileAst, vocabulary: Vocabulary, options: EvaluateOptions = {}): EvaluatedFile {
  const report = new Reporter()
  const files = [ast, ...(options.imports ?? [])]
  const definitions = define(files, vocabulary, options.incomplete === true, report)
  const net = oneNet(ast, report)
  const train = oneTrain(ast, report)
  const expander = new Expander(definitions, report)
  const parts = net && expander.expand(net, ast)
  const settings = train && evaluateTrain(train, net, vocabulary, expander.constants(ast), report)
  if (parts && train && parts.losses.length === 0 && !report.failed && !isBroken(files)) {
    report.error('train/loss', 'there is a train block, but the net has no loss', net.name.span, {
      text: 'in this net',
      labels: [{ span: headOf(train.span, 'train'), text: 'trained here' }],
      hint: 'say what is to become small: loss = ...',
    })
  }
  check(files, definitions, expander.seen, report)
  return { ...(parts && !report.failed && !isBroken(files) && { program: assemble(parts, settings) }), diagnostics: report.diagnostics }
}

const assemble = (parts: Omit<Program, 'train'>, train: TrainSettings | undefined): Program => ({ ...parts, ...(train && { train }) })

/** Whether parts of a file could not be read, so that an error was reported already. */
const isBroken = (files: readonly FileAst[]): boolean =>
  files.some((f) =>
    f.broken.length > 0 || f.trains.some((t) => t.broken.length > 0) || [...f.blocks, ...f.nets].some(({ body }) => holdsBroken(body))
  )

function oneNet(ast: FileAst, report: Reporter): FileAst['nets'][number] | undefined {
  const [net, another] = ast.nets
  if (!net && ast.broken.length === 0) {
    const blocks = ast.blocks.length > 0 ? 'a file of blocks alone is there to be imported' : 'net NAME { input ...; output ... }'
    return report.error('net/none', 'this file holds no net', { ...ast.span, end: Math.min(1, ast.span.end) }, {
      text: 'begins here',
      hint: blocks,
    })
  }
  if (net && another)
    report.error('net/several', 'a file holds one net', another.name.span, {
      text: 'another one',
      labels: [{ span: net.name.span, text: 'the first one' }],
    })
  return net
}

function oneTrain(ast: FileAst, report: Reporter): FileAst['trains'][number] | undefined {
  const [train, another] = ast.trains
  if (train && another) {
    report.error('train/several', 'a file holds one train block', headOf(another.span, 'train'), {
      text: 'another one',
      labels: [{ span: headOf(train.span, 'train'), text: 'the first one' }],
    })
  }
  return train
}
