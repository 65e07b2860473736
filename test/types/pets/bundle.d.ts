// pets (merged), compiled by fusenet. n is the batch that the net is opened with.
// open<Pets>('...') of fusenet knows these names; so do Net<Pets> and the functions that take one.

export interface Pets {
  readonly name: "pets"
  readonly programs: "infer" | "eval" | "infer/batch" | "eval/batch" | "gradients" | "step" | "train"
  /** What `run` takes. */
  readonly inputs: {
    /** float32 [n, 3, 8, 8] */
    readonly image: 'f32'
    /** 0..2 [n]: cat, dog, sea lion; only training reads it */
    readonly label?: 'i32'
  }
  /** What `step` and `trainStep` take. */
  readonly trainInputs: {
    /** float32 [n, 3, 8, 8] */
    readonly image: 'f32'
    /** 0..2 [n]: cat, dog, sea lion */
    readonly label: 'i32'
  }
  /** What `run` gives. */
  readonly outputs: {
    /** [n, 3]: of cat, dog, sea lion */
    readonly prob: 'f32'
    /** [n, 4, 1, 1] */
    readonly embedding: 'f32'
  }
  readonly losses: {
    /** [] */
    readonly loss: 'f32'
  }
  readonly loss: number
  readonly metrics: {
    /** [] */
    readonly accuracy: 'f32'
  }
  /** What `step` gives as `grads`. */
  readonly gradients: {
    /** [4, 3, 3, 3] */
    readonly "conv1.weight": 'f32'
    /** [4] */
    readonly "conv1.bias": 'f32'
    /** [4] */
    readonly "bn1.gamma": 'f32'
    /** [4] */
    readonly "bn1.beta": 'f32'
    /** [3, 4] */
    readonly "head.weight": 'f32'
    /** [3] */
    readonly "head.bias": 'f32'
    /** [n, 3, 8, 8] */
    readonly image: 'f32'
  }
  /** Statistics too. */
  readonly parameters: {
    /** [4, 3, 3, 3] */
    readonly "conv1.weight": 'f32'
    /** [4] */
    readonly "conv1.bias": 'f32'
    /** [4] */
    readonly "bn1.gamma": 'f32'
    /** [4] */
    readonly "bn1.beta": 'f32'
    /** [4] */
    readonly "bn1.running_mean": 'f32'
    /** [4] */
    readonly "bn1.running_var": 'f32'
    /** [3, 4] */
    readonly "head.weight": 'f32'
    /** [3] */
    readonly "head.bias": 'f32'
  }
  /** What the classes are called, label 0 first. */
  readonly labels: {
    /** 0..2 */
    readonly label: readonly ["cat", "dog", "sea lion"]
  }
  readonly classes: readonly ["cat", "dog", "sea lion"]
}
