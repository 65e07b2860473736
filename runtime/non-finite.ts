import type { Numbers, Session, StepScalars } from '../bundle/device.ts'
import type { Manifest, TensorEntry } from '../bundle/format.ts'
import { elementCount } from '../bundle/sizes.ts'

/** The place of the first number in a step that is not finite. */
export interface Place {
  /** A layer, or an input or parameter that came so. */
  readonly layer: string
  /** What is not finite, for people: `the values of conv1`, `input image`. */
  readonly what: string
}

const isBroken = (data: Numbers): boolean => data.some((v) => !Number.isFinite(v))
/** Roles of buffers that outlive a program, so that running it again must not change them. */
const LASTING: readonly string[] = ['parameters', 'gradients', 'history', 'states']

/**
 * Runs a program of a training once more, kernel by kernel, on the inputs that the session holds, and looks at what each of them writes:
 * the first that is not finite names the layer. What outlives the program is as before afterwards. Undefined: all of it is finite.
 */
export async function findNonFinite(
  manifest: Manifest,
  session: Session,
  program: string,
  scalars: StepScalars,
): Promise<Place | undefined> {
  const { plan } = session
  const { dispatches } = plan.programs[program]!
  const roleOf = (index: number): string => plan.buffers[plan.tensors[index]!.buffer]!.role
  const used = [...new Set(dispatches.flatMap((d) => d.tensors))]
  const given = used.filter((index) => roleOf(index) === 'input')
  const lasting = used.filter((index) => LASTING.includes(roleOf(index)))
  const read = await session.read([...given, ...lasting])
  const before = new Map([...given, ...lasting].map((index, i) => [index, read[i]!]))

  for (const { name } of manifest.inputs) {
    const index = given.find((i) => plan.buffers[plan.tensors[i]!.buffer]!.name === `input.${name}`)
    if (index !== undefined && isBroken(before.get(index)!)) return { layer: name, what: `input ${name}` }
  }
  for (const { name, layer, shape, offset, trainable } of manifest.parameters) {
    for (const [index, data] of before) {
      const { offset: from } = plan.tensors[index]!
      const holds = roleOf(index) === (trainable ? 'parameters' : 'states') && from <= offset &&
        offset + elementCount(shape) <= from + data.length
      if (holds && isBroken(data.subarray(offset - from, offset - from + elementCount(shape)))) return { layer, what: `parameter ${name}` }
    }
  }

  // What other programs left in the memory they share is not this one's.
  for (const index of used)
    if (roleOf(index) === 'scratch' && plan.tensors[index]!.type === 'f32')
      session.write(
        index,
        new Float32Array(elementCount(plan.tensors[index]!.shape, session.batch)),
      )
  // A bundle that was read to be run alone does not say which layers a kernel has.
  const layers = manifest.parameters.map(({ layer }) => layer)
  let found: Place | undefined
  try {
    await session.trace!(program, scalars, async (i) => {
      const { tensors, kernel, name } = dispatches[i]!
      const { bindings } = plan.kernels[kernel]!
      const written = tensors.filter((index, b) => bindings[b]!.access === 'read_write' && plan.tensors[index]!.type === 'f32')
      const values = await session.read(written)
      const broken = written.find((_, k) => isBroken(values[k]!))
      if (broken === undefined) return false
      const layer = layerOf(plan.tensors[broken]!, dispatches[i]!.facts?.layers ?? [], layers) ?? name
      found = {
        layer,
        what: /\.(d|dx\w*|d\w+|gradient|sums|slopes)$/.test(plan.tensors[broken]!.name) ? `the gradients at ${layer}`
          : `the values of ${layer}`,
      }
      return true
    })
  } finally {
    for (const index of lasting) session.write(index, before.get(index)!)
  }
  return found
}

/** The layer that a tensor is named after: `conv1` of `conv1.dx`, of `conv1.weight.gradient`. */
const layerOf = ({ name }: TensorEntry, own: readonly string[], all: readonly string[]): string | undefined =>
  [...own, ...all].filter((layer) => name === layer || name.startsWith(`${layer}.`)).sort((a, b) => b.length - a.length)[0] ?? own[0]
