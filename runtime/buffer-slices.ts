import { DeviceError, type Numbers, type Session } from '../bundle/device.ts'
import type { Plan, TensorEntry } from '../bundle/format.ts'
import { elementCount } from '../bundle/sizes.ts'

/** A slice of a buffer that outlives programs: a parameter, a statistic, a solver's history of a parameter. */
export interface BufferSlice {
  readonly buffer: number
  readonly offset: number
  readonly length: number
  readonly shape: readonly number[]
}

const found = new WeakMap<Plan, ReadonlyMap<number, readonly (readonly [index: number, tensor: TensorEntry])[]>>()

/** The f32 tensors in each buffer of those that outlive programs: few of all, and asked for once a parameter. */
function tensorsIn(plan: Plan): NonNullable<ReturnType<typeof found.get>> {
  const known = found.get(plan)
  if (known) return known
  const tensors = new Map<number, (readonly [number, TensorEntry])[]>()
  plan.tensors.forEach((t, i) => {
    if (t.type !== 'f32' || plan.buffers[t.buffer]!.role === 'scratch') return
    const list = tensors.get(t.buffer)
    if (list) list.push([i, t])
    else tensors.set(t.buffer, [[i, t]])
  })
  found.set(plan, tensors)
  return tensors
}

/** The smallest f32 tensor around a slice: usually the parameter itself, else the whole of a solver's loop. */
function coveringTensor(plan: Plan, slice: BufferSlice): { index: number; from: number; whole: boolean } | undefined {
  let best = -1
  let least = Infinity
  for (const [i, t] of tensorsIn(plan).get(slice.buffer) ?? []) {
    const length = elementCount(t.shape)
    if (t.offset <= slice.offset && t.offset + length >= slice.offset + slice.length && length < least) {
      best = i
      least = length
    }
  }
  return best < 0 ? undefined : { index: best, from: slice.offset - plan.tensors[best]!.offset, whole: least === slice.length }
}

function coverOf(plan: Plan, slice: BufferSlice): NonNullable<ReturnType<typeof coveringTensor>> {
  const place = coveringTensor(plan, slice)
  if (!place)
    throw new DeviceError(
      `no tensor of the plan holds elements ${slice.offset} to ${slice.offset + slice.length} of ${plan.buffers[slice.buffer]?.name}`,
    )
  return place
}

/** Whether the plan can reach it: a parameter that never learns has no history. */
export const reaches = (plan: Plan, slice: BufferSlice): boolean => coveringTensor(plan, slice) !== undefined

/** Reads all in one go. */
export async function readSlices(session: Session, slices: readonly BufferSlice[]): Promise<Numbers[]> {
  const places = slices.map((s) => coverOf(session.plan, s))
  const indices = [...new Set(places.map((p) => p.index))]
  const read = new Map((await session.read(indices)).map((data, i) => [indices[i]!, data]))
  return places.map(({ index, from }, i) => read.get(index)!.slice(from, from + slices[i]!.length))
}

/** Writes slices. The arrays are the session's from then on: nobody writes to them any more. */
export async function writeSlices(session: Session, values: readonly (readonly [BufferSlice, Numbers])[]): Promise<void> {
  const parts = new Map<number, (readonly [from: number, data: Numbers])[]>()
  for (const [slice, data] of values) {
    const { index, from, whole } = coverOf(session.plan, slice)
    if (whole) session.lend ? session.lend(index, data) : session.write(index, data)
    else parts.set(index, [...(parts.get(index) ?? []), [from, data]])
  }
  if (!parts.size) return
  const indices = [...parts.keys()]
  const read = await session.read(indices)
  indices.forEach((index, i) => {
    const all = read[i]!
    for (const [from, data] of parts.get(index)!) all.set(data, from)
    session.write(index, all)
  })
}

/** Copies slices to another session of the same net: its plan may have buffers in another order, and none that its programs do not touch. */
export async function copySlices(from: Session, to: Session, slices: readonly BufferSlice[]): Promise<void> {
  const values = await readSlices(from, slices)
  const there = slices.map((s) => ({ ...s, buffer: to.plan.buffers.findIndex((b) => b.name === from.plan.buffers[s.buffer]!.name) }))
  await writeSlices(to, there.flatMap((s, i) => (reaches(to.plan, s) ? [[s, values[i]!] as const] : [])))
}
