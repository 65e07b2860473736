import { ImportError } from '../import-error.ts'
import type { ModelTensor } from '../model-net.ts'
import { BATCH, type Dimension, isNumber } from './dimension.ts'
import { type ElementType, INT64 } from './element-type.ts'
import type { Numbers } from './tensor-data.ts'

/** What a name of a model stands for while its nodes are gone through. */
export type Value = Tensor | Constant | Unknown

/** What the net computes from its inputs. The first axis is the batch, unless it is bare. */
export interface Tensor {
  readonly kind: 'tensor'
  /** The value's name in the ModelNet. */
  readonly name: string
  /** The shape of one sample. */
  readonly dims: readonly number[]
  /** The model has no axis for the batch: all that it knows is one sample. */
  readonly bare?: boolean
  /** Where the batch is in the model, if it is not in front; the value is bare then. */
  readonly samples?: Samples
  /** Whole numbers and truths (indices of ArgMax, comparisons) are numbers of float32 too, but divide otherwise. */
  readonly type: 'float' | 'int' | 'bool'
  /** Its scale and zero point where it stands for whole numbers of these: only what takes them away again may read it. */
  readonly quantized?: string
}

/** An axis of `before` x batch x the rest: `dims` has `before` x the rest there. */
export interface Samples {
  readonly axis: number
  readonly before: number
}

/** What a value is 1 or 0 by: `more` > `less`, or >= where `equal`. */
export interface Comparison {
  readonly more: Tensor | Constant
  readonly less: Tensor | Constant
  readonly equal: boolean
}

/** Known when the model is read: an initializer, or computed from such. */
export interface Constant {
  readonly kind: 'constant'
  readonly shape: readonly number[]
  readonly type: ElementType
  /** Computed when asked, and not kept. */
  readonly values: () => Numbers
  /** Whole numbers of a shape, where some are multiples of the batch; `values` is then not to be asked. */
  readonly dimensions?: readonly Dimension[]
  /** What it is made of, for messages and to find what is shared: the initializer's name. '' where it has none. */
  readonly name: string
  /** An initializer may be a learned parameter; what a Constant node holds is none. */
  readonly learned: boolean
}

/** What a refused node would have made: what reads it is not judged, unless there is a reason that nobody was told yet. */
export interface Unknown {
  readonly kind: 'unknown'
  readonly why?: string
}

export const UNKNOWN: Unknown = { kind: 'unknown' }

export const shapeOf = (value: Tensor | Constant): readonly Dimension[] =>
  value.kind === 'constant' ? value.shape
    : value.samples ? value.dims.map((dim, d) => (d === value.samples!.axis ? { n: dim, plus: 0 } : dim))
    : value.bare ? value.dims
    : [BATCH, ...value.dims]

/** How many axes it has in the model. */
export const rankOf = (x: Tensor): number => shapeOf(x).length

export function constantOf(values: Numbers, shape: readonly number[], type: ElementType, name = '', learned = false): Constant {
  return { kind: 'constant', shape, type, values: () => values, name, learned }
}

/** A constant computed when asked. */
export function lazyConstant(like: Constant, shape: readonly number[], values: () => Numbers, type = like.type): Constant {
  return { kind: 'constant', shape, type, values, name: like.name, learned: like.learned }
}

/** Whole numbers of a shape, numbers and multiples of the batch. */
export function dimensionsConstant(
  dimensions: readonly Dimension[],
  shape: readonly number[] = [dimensions.length],
  type = INT64,
): Constant {
  if (dimensions.every(isNumber)) return constantOf(Float64Array.from(dimensions), shape, type)
  return {
    kind: 'constant',
    shape,
    type,
    values: () => {
      throw new ImportError([{ where: '', what: 'arithmetic on a shape with the batch in it', mend: 'export the model with a batch of 1' }])
    },
    dimensions,
    name: '',
    learned: false,
  }
}

/** Its elements, the batch among them. */
export const dimensionsOf = (constant: Constant): readonly Dimension[] => constant.dimensions ?? Array.from(constant.values())

/** A parameter of the language. `arrange` gives another layout, of the same number of elements. */
export function parameterOf(constant: Constant, shape = constant.shape, arrange?: (values: Numbers) => Numbers): ModelTensor {
  return {
    shape,
    values: () => {
      const values = arrange ? arrange(constant.values()) : constant.values()
      return values instanceof Float32Array ? values : Float32Array.from(values)
    },
  }
}

/** [rows, columns] to [columns, rows]. */
export const transposed = (rows: number, columns: number) => (values: Numbers): Numbers => {
  const turned = new (values.constructor as typeof Float32Array)(values.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!
  return turned
}

/** Numbers of a type: float32 where that holds them all. */
export function numbersOf(type: ElementType, from: ArrayLike<number>, f: (v: number) => number = (v) => v): Numbers {
  const values = type.fitsFloat32 ? new Float32Array(from.length) : new Float64Array(from.length)
  for (let i = 0; i < values.length; i++) values[i] = f(from[i]!)
  return values
}
