import { InputError } from '../../bundle/errors.ts'
import { list } from '../../bundle/options.ts'
import { say } from '../../bundle/plain.ts'
import type { ModelNet, Note } from '../model-net.ts'
import { checkModel, checkWritten } from './check-handed-in.ts'
import type { LayerRow, WrittenNet } from './write-net.ts'

/** What became what: the contents of `import.json`. */
export interface ImportReport {
  readonly name: string
  /** The model's files, without folders. */
  readonly files: readonly string[]
  readonly parameters: number
  readonly inputs: WrittenNet['inputs']
  readonly outputs: WrittenNet['outputs']
  /** Layers with parameters: their names are those of `weights.safetensors`. */
  readonly layers: readonly LayerRow[]
  readonly notes: readonly Note[]
  /** What else the model says about itself. */
  readonly model: Readonly<Record<string, unknown>>
}

/** What became of a model and what `writeNet` made of it. Throws InputError for what is neither, and for names of files that are none. */
export function importReport(model: ModelNet, written: WrittenNet, files: readonly string[]): ImportReport {
  checkModel('importReport', model)
  checkWritten('importReport', written)
  const [isList, wanted] = list
  if (!isList(files)) throw new InputError(`importReport: files ${say(files)}: ${wanted} is wanted`)
  return {
    name: written.name,
    files,
    parameters: written.parameterCount,
    inputs: written.inputs,
    outputs: written.outputs,
    layers: written.layers,
    notes: written.notes,
    model: model.facts ?? {},
  }
}
