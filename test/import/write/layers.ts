import type { ModelLayer, ModelNet, ModelTensor } from '../../../import/model-net.ts'

/** A tensor of zeros, or of the given values. */
export const tensor = (shape: readonly number[], values?: readonly number[]): ModelTensor => ({
  shape,
  values: () => Float32Array.from(values ?? new Array<number>(shape.reduce((product, dim) => product * dim, 1)).fill(0)),
})

/** A layer whose output is called as it is. */
export const layer = (op: string, name: string, inputs: readonly (string | number)[], more: Partial<ModelLayer> = {}): ModelLayer => ({
  op,
  name,
  inputs,
  arguments: {},
  output: name,
  from: [name],
  ...more,
})

/** A net with one picture as input, whose last layer is its output. */
export const netOf = (layers: readonly ModelLayer[], more: Partial<ModelNet> = {}): ModelNet => ({
  name: 'net1',
  inputs: [{ value: 'image', shape: [3, 8, 8] }],
  layers,
  results: [{ kind: 'output', name: 'y', value: layers.at(-1)!.output }],
  notes: [],
  ...more,
})
