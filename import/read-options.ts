import type { ByteSource } from './byte-source.ts'

/** What a user may say about a model, and how its other files are found. */
export interface ReadOptions {
  /** Shapes of one sample by the model's own names of inputs: `--shape data=3x224x224`. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>
  /** The model's own names of the values that become outputs; what only others need is left out. Default: the model's outputs. */
  readonly outputs?: readonly string[]
  /** The weights that lie in a file of their own (`.caffemodel`, `.weights`). */
  readonly weights?: ByteSource
  /** A file beside the model that it names (external data of ONNX, a solver's net), by the path as the model has it; throws ImportError for one that is not below the model's folder. */
  readonly beside?: (path: string) => ByteSource
  /** Called while long work goes on, with a share between 0 and 1. */
  readonly progress?: (done: number) => void
}
