import { copyOf } from '../bundle/copy.ts'
import { InputError } from '../bundle/errors.ts'
import type { TensorData } from '../bundle/format.ts'
import { flatten } from './lists.ts'
import { isNamed, plain, say } from '../bundle/plain.ts'
import { elementCount, showShape } from '../bundle/sizes.ts'

/** One tensor given by a caller: as the runtime gives tensors, or numbers whose shape is known from the name. */
export type TensorLike = TensorNumbers | {
  readonly shape: readonly number[]
  readonly type?: TensorData['type'] | undefined
  readonly data: TensorNumbers
}
type TensorNumbers = TensorData['data'] | readonly number[]
/** Tensors by name, in a Map or a plain object. */
export type Tensors = ReadonlyMap<string, TensorLike> | Readonly<Record<string, TensorLike>>

const TYPES = [[Float32Array, 'f32'], [Float64Array, 'f64'], [Int32Array, 'i32'], [Uint8Array, 'u8'], [BigInt64Array, 'i64']] as const

/**
 * Tensors as they are handed in, copied: nothing of the caller's is in them. `shapeOf` says the shape of a name, where there is one. Throws
 * InputError that tells every one that is none. `what`: they are, in a message.
 */
export function copyTensors(
  given: unknown,
  what: string,
  shapeOf: (name: string) => readonly number[] | undefined = () => undefined,
): Map<string, TensorData> {
  const entries = given instanceof Map ? [...given] as [unknown, unknown][]
    : isNamed(given) ? Object.entries(given) : undefined
  if (!entries) throw new InputError(`${what} are wanted as a Map or an object, { name: { shape, data } }; here is ${say(given)}`)
  const wrong: string[] = []
  const tensors = new Map<string, TensorData>()
  for (const [name, value] of entries) {
    if (typeof name !== 'string') wrong.push(`${say(name)} is no name`)
    else {
      const tensor = copyTensor(value, shapeOf(name))
      if (typeof tensor === 'string') wrong.push(`${plain(name, 60)} ${tensor}`)
      else tensors.set(name, tensor)
    }
  }
  if (wrong.length) throw new InputError(`${what}: ${wrong.join('\n  ')}`)
  return tensors
}

function copyTensor(value: unknown, known: readonly number[] | undefined): TensorData | string {
  const { shape: said, data } = (isNumbers(value) ? { data: value } : value ?? {}) as { shape?: unknown; data?: unknown }
  if (!isNumbers(data))
    return `is wanted as { shape, data } with a typed array of float32 (or float64, int32, uint8, int64), here is ${say(value)}`
  const flat = Array.isArray(data) ? flatten(data) : undefined
  if (typeof flat === 'string') return flat
  const copy = flat ? Float32Array.from(flat.data) : copyOf(data as TensorData['data'])
  const shape = said ?? (flat && flat.shape.length > 1 ? flat.shape : known ?? [copy.length])
  if (!Array.isArray(shape) || !shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    return `has a shape that is no list of counts: ${say(said)}`
  if (elementCount(shape) !== copy.length) return `${showShape(shape)} takes ${elementCount(shape)} numbers, here are ${copy.length}`
  return { shape: [...shape], type: TYPES.find(([Kind]) => copy instanceof Kind)![1], data: copy }
}

const isNumbers = (value: unknown): value is TensorData['data'] | readonly unknown[] =>
  Array.isArray(value) || TYPES.some(([Kind]) => value instanceof Kind)
