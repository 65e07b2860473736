import type { ModelNet, Note } from '../model-net.ts'
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

export const importReport = (model: ModelNet, written: WrittenNet, files: readonly string[]): ImportReport => ({
  name: written.name,
  files,
  parameters: written.parameterCount,
  inputs: written.inputs,
  outputs: written.outputs,
  layers: written.layers,
  notes: written.notes,
  model: model.facts ?? {},
})
