// spirals (merged), compiled by fusenet. n is the batch that the net is opened with.
// Written anew when the net changes: it may be kept under version control, so that types can be checked before a build.
import type { NetModule } from 'fusenet'

export interface Spirals {
  readonly name: "spirals"
  readonly programs: "infer" | "eval" | "gradients" | "step" | "train"
  /** What `run` takes. */
  readonly inputs: {
    /** float32 [n, 2] */
    readonly point: 'f32'
    /** 0..1 [n]: blue, orange; only training reads it */
    readonly label?: 'i32'
  }
  /** What `step` and `trainStep` take. */
  readonly trainInputs: {
    /** float32 [n, 2] */
    readonly point: 'f32'
    /** 0..1 [n]: blue, orange */
    readonly label: 'i32'
  }
  /** What `run` gives. */
  readonly outputs: {
    /** [n, 2]: of blue, orange */
    readonly prob: 'f32'
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
    /** [16, 2] */
    readonly "fc_1.weight": 'f32'
    /** [16] */
    readonly "fc_1.bias": 'f32'
    /** [16, 16] */
    readonly "fc_2.weight": 'f32'
    /** [16] */
    readonly "fc_2.bias": 'f32'
    /** [2, 16] */
    readonly "fc_3.weight": 'f32'
    /** [2] */
    readonly "fc_3.bias": 'f32'
    /** [n, 2] */
    readonly point: 'f32'
  }
  /** Statistics too. */
  readonly parameters: {
    /** [16, 2] */
    readonly "fc_1.weight": 'f32'
    /** [16] */
    readonly "fc_1.bias": 'f32'
    /** [16, 16] */
    readonly "fc_2.weight": 'f32'
    /** [16] */
    readonly "fc_2.bias": 'f32'
    /** [2, 16] */
    readonly "fc_3.weight": 'f32'
    /** [2] */
    readonly "fc_3.bias": 'f32'
  }
  /** What the classes are called, label 0 first. */
  readonly labels: {
    /** 0..1 */
    readonly label: readonly ["blue", "orange"]
  }
  readonly classes: readonly ["blue", "orange"]
}

declare const net: NetModule<Spirals>
export default net
