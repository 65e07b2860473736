import type { Block, FileAst } from './ast.ts'
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
