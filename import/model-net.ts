/**
 * A foreign net in the words of the language: what readers of formats (ONNX, Caffe, Darknet) hand to the writer. Values and layers have
 * the model's own names, any text; the writer makes them words of the language, drops defaults, finds blocks and loops.
 */

/** A tensor of a model. Row-major, in the layout that the language wants (convolutions OIHW, deconvolutions [in, out / groups, kh, kw], fc [out, in]). */
export interface ModelTensor {
  readonly shape: readonly number[]
  /** The values as float32, read or computed when asked: one tensor at a time is held. Throws ImportError where the file has not what it promised. */
  readonly values: () => Float32Array
}

/** What an argument is given: a number, `true`, `[1, 2]`, a word (`nearest`, `same`), or a call (`moving(newest: 0.1)`). */
export type Argument = number | boolean | string | readonly number[] | ArgumentCall

export interface ArgumentCall {
  readonly call: string
  readonly arguments: Readonly<Record<string, Argument>>
}

/** One call of a layer, loss or metric of the language. */
export interface ModelLayer {
  /** The language's name: `conv`. */
  readonly op: string
  /** The model's name for it, where it has one. Parameters are called after it. */
  readonly name?: string
  /** Values that it reads, or numbers where the operator takes them (`add(x, 1)`). */
  readonly inputs: readonly (string | number)[]
  /** Arguments by their names in the signature; what equals the default may be given and is not written. */
  readonly arguments: Readonly<Record<string, Argument>>
  /** Parameters by role, all of them: `{ weight, bias }`, `{ gamma, beta, running_mean, running_var }`. Absent: the model brings none, a filler starts them. */
  readonly parameters?: Readonly<Record<string, ModelTensor>>
  /** The value whose layer owns the parameters, where two layers share them. */
  readonly sharesWith?: string
  /** The value that it makes; no other layer makes it. */
  readonly output: string
  /** Nodes of the model that it stands for, as a user of the model would call them. */
  readonly from: readonly string[]
}

export interface ModelInput {
  readonly value: string
  /** The shape of one sample, without the batch: [C, H, W]. */
  readonly shape: readonly number[]
  /** The number of classes, or their names, of an input of labels: `class[10]`. Then `shape` is [], or that of a map of labels: `class[21][500, 500]`. */
  readonly classes?: number | readonly string[]
}

/** A line `output NAME = value`, `loss NAME = value` (times `weight`), `metric NAME = value`. */
export interface ModelResult {
  readonly kind: 'output' | 'loss' | 'metric'
  readonly name: string
  readonly value: string
  readonly weight?: number
  /** Names of the classes that an output has a score for each of, where the model has them. */
  readonly classes?: readonly string[]
}

/** The train block, as far as the model has one: keys of the language in its order. `snapshot: every`, `test: every` are durations in steps. */
export interface ModelTraining {
  readonly data?: ArgumentCall
  readonly augment?: readonly ArgumentCall[]
  readonly batch?: number
  /** Batches an update, where there are several. */
  readonly accumulate?: number
  readonly steps?: number
  readonly epochs?: number
  readonly seed?: number
  readonly solver?: ArgumentCall
  /** Schedules in a row, as `warmup(1000) -> poly(4)` stands: their factors multiply. */
  readonly schedule?: readonly ArgumentCall[]
  readonly snapshotEvery?: number
  readonly testEvery?: number
}

/** Something that a user should know: what became of a part of the model. */
export interface Note {
  /** A node, layer, section or field of the model; '' for the whole. */
  readonly about: string
  /** `left out`: it does nothing here. `changed`: it became something else that computes the same. `differs`: numbers differ, and by how much. */
  readonly kind: 'left out' | 'changed' | 'differs'
  readonly text: string
}

/** A net as a reader of a format understood it. Layers stand in an order in which each reads only what came before. */
export interface ModelNet {
  readonly name: string
  /** `split` where the model spells Conv + BN + Scale as Caffe does. Default merged. */
  readonly style?: 'merged' | 'split'
  readonly inputs: readonly ModelInput[]
  readonly layers: readonly ModelLayer[]
  readonly results: readonly ModelResult[]
  readonly training?: ModelTraining
  readonly notes: readonly Note[]
  /** Facts for `import.json` under `model`: format, version, producer, the numbers of a [yolo] section. JSON values. */
  readonly facts?: Readonly<Record<string, unknown>>
}
