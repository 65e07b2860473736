import type { Block, Call, Expression, FileAst, Name, Statement } from './ast.ts'
import type { Label } from './diagnostic.ts'
import { callMend } from './elsewhere.ts'
import { nearest } from './fix-hints.ts'
import type { Reporter } from './reporter.ts'
import type { Signature, Vocabulary } from './signature.ts'

/** A block and the file whose constants it sees. */
export interface DefinedBlock extends Block {
  readonly file: FileAst
}

/** The layers and blocks that can be called by name. */
export interface Definitions {
  readonly layers: ReadonlyMap<string, Signature>
  readonly blocks: ReadonlyMap<string, DefinedBlock>
  /** Words of what could not be read at the top of a file: blocks and constants may be among them. */
  readonly unread: ReadonlySet<string>
  /** Whether a file is missing: any block may be in it. */
  readonly incomplete: boolean
}

export function define(files: readonly FileAst[], vocabulary: Vocabulary, incomplete: boolean, report: Reporter): Definitions {
  const layers = new Map(vocabulary.layers.map((s) => [s.name, s]))
  const blocks = new Map<string, DefinedBlock>()
  for (const file of files)
    for (const block of file.blocks) {
      const { text, span } = block.name
      const before = blocks.get(text)
      if (layers.has(text)) report.error('block/layer', `there is a layer ${text} already`, span, { hint: 'call the block something else' })
      else if (before)
        report.error('block/twice', `there are two blocks ${text}`, span, {
          labels: [{ span: before.name.span, text: 'the other one' }],
        })
      else blocks.set(text, { ...block, file })
    }
  return { layers, blocks, unread: new Set(files.flatMap((f) => f.broken.flatMap((b) => b.words))), incomplete }
}

/** The error for an unknown name where a layer or block is expected. */
export function unknownCallable(
  call: Call,
  { layers, blocks }: Definitions,
  report: Reporter,
  isTensor?: (e: Expression) => boolean,
): undefined {
  const name = call.callee
  return report.error('call/unknown', `there is no layer or block ${name.text}`, name.span, {
    hint: () => callMend(call, layers.values(), [...layers.keys(), ...blocks.keys()], isTensor),
    group: name.text,
  })
}

/** Words that statements begin with: `ouput o = ...` reads as a value `ouput` and an assignment. */
const KEYWORDS = ['input', 'output', 'loss', 'metric', 'style', 'return']

/** The error for an unknown name where a value is expected in a body. */
export function unknownValue(
  name: Name,
  body: readonly Statement[],
  values: Iterable<string>,
  { layers, blocks }: Definitions,
  report: Reporter,
  labels: readonly Label[] = [],
): undefined {
  return report.error('name/undefined', `${name.text} has no value here`, name.span, {
    hint: () => (labels.length > 0 ? undefined : nearest(name.text, [...values, ...layers.keys(), ...blocks.keys(), ...KEYWORDS])),
    labels,
    group: `${name.text} ${body[0]?.span.start ?? 0} ${name.span.source.file}`,
  })
}
