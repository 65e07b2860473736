import { DeviceError } from '../../bundle/device.ts'
import { modulesFor, type Plan, type Size } from '../../bundle/format.ts'
import { BINDING_ELEMENTS, placesAt } from '../../bundle/layout.ts'
import { buffersAway, type Interval } from './away.ts'
import { mostThatFits, showBytes } from '../memory-errors.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { PAGE_BYTES, RECORD_ALIGNMENT } from '../../bundle/wasm-abi.ts'

/** Records hold them as i32. */
const MOST_TASKS = 2 ** 31 - 1
const MOST_PAGES = 65536
/** Chunks in which each of several threads takes its share of a dispatch, about: fewer make threads wait for each other, more cost atomic operations. */
const CHUNKS = 16

/** Tasks of a dispatch at a batch: those that there are, of what is counted generously where several samples have one task. */
export function tasksOf({ fixed, perSample }: Size, batch: number): number {
  if (fixed === 0 || perSample === 0) return fixed + perSample * batch
  // A quotient of two numbers of which one was rounded: a block more for that would have no samples.
  return fixed * Math.ceil(batch * perSample / fixed - 1e-9)
}

/**
 * Tasks that a thread takes at once. What it has packed or made for one task it keeps for its next ones, so of several threads each takes whole samples where
 * there are enough: cut within a sample, a map that is made for all tasks of the sample was made two or three times.
 */
export function chunkOf(tasks: number, perSample: number, batch: number, threads: number): number {
  if (threads === 1) return Math.max(1, tasks)
  const chunk = Math.max(1, Math.floor(tasks / (threads * CHUNKS)))
  const enough = batch >= threads * CHUNKS || (batch % threads === 0 && batch >= 2 * threads)
  return perSample > 1 && enough ? perSample * Math.max(1, Math.floor(chunk / perSample)) : chunk
}

/** All memory of a net at a batch: one WebAssembly memory, laid out once. */
export interface MemoryLayout {
  readonly bytes: number
  readonly pages: number
  /** Byte address of each buffer that is used and not away, by its index in the plan. */
  readonly buffers: ReadonlyMap<number, number>
  /** Buffers that are not in this memory, with the intervals that are, and the byte address of each. */
  readonly away: ReadonlyMap<number, readonly (Interval & { readonly at: number })[]>
  /** Tensors of buffers that are away, and the byte addresses at which they are wanted, for each dispatch of `prepare`. Empty where none is. */
  readonly brought: readonly (readonly { readonly tensor: number; readonly at: number }[])[]
  /** The start of each tensor in its buffer, in elements. */
  readonly offsets: readonly number[]
  /** Words at addresses: records and program blocks. */
  readonly words: readonly { readonly at: number; readonly words: readonly number[] }[]
  /** Byte address of each program's block, and of a block for each of its dispatches alone. */
  readonly programs: ReadonlyMap<string, { readonly block: number; readonly single: readonly number[] }>
  readonly scratch: number
  readonly scratchBytes: number
}

/** Throws DeviceError, before anything is allocated, where it does not fit into 4 GiB. `hint`: what else to do then. */
export function layOutMemory(
  plan: Plan,
  batch: number,
  used: ReadonlySet<number>,
  programs: readonly string[],
  threads: number,
  hint = '',
): MemoryLayout {
  const at = (n: number): MemoryLayout => place(plan, n, used, programs, threads)
  const layout = at(batch)
  if (layout.pages <= MOST_PAGES) return layout
  throw new DeviceError(
    `at batch ${batch} this net needs ${showBytes(layout.bytes)}, WebAssembly has ${showBytes(MOST_PAGES * PAGE_BYTES)}: ${
      mostThatFits(batch, (n) => at(n).pages <= MOST_PAGES)
    }${hint}`,
  )
}

function place(plan: Plan, batch: number, used: ReadonlySet<number>, programs: readonly string[], threads: number): MemoryLayout {
  // The first page is control; like the last it is also the READ_MARGIN of the tensors beside it.
  let end = PAGE_BYTES
  const take = (bytes: number, alignment = 64): number => {
    const at = Math.ceil(end / alignment) * alignment
    end = at + bytes
    return at
  }
  const buffers = new Map<number, number>()
  const { offsets, sizes } = placesAt(plan, batch, programs)
  const away = new Map(
    [...buffersAway(plan, used, programs)].map(([index, kept]) =>
      [index, kept.map((part) => ({ ...part, at: take(4 * (part.to - part.from)) }))] as const
    ),
  )
  const placeAway = (tensor: number): number | undefined => {
    const { buffer, shape } = plan.tensors[tensor]!
    const from = offsets[tensor]!
    const part = away.get(buffer)!.find((p) => p.from <= from && from + elementCount(shape) <= p.to)
    return part && part.at + 4 * (from - part.from)
  }
  // What is brought for a kernel of \`prepare\` lies behind what that program has in scratch: other programs find nothing there.
  const wanted = away.size === 0 ? [] :
    plan.programs['prepare']!.dispatches.map(({ tensors }) =>
      [...new Set(tensors)].filter((t) => away.has(plan.tensors[t]!.buffer) && placeAway(t) === undefined)
    )
  const room = (tensor: number): number => Math.ceil(elementCount(plan.tensors[tensor]!.shape) / BINDING_ELEMENTS) * BINDING_ELEMENTS
  const most = wanted.reduce((largest, list) => Math.max(largest, list.reduce((sum, t) => sum + room(t), 0)), 0)
  const shared = most === 0 ? undefined : [...used].find((index) => plan.buffers[index]!.role === 'scratch')
  const own = shared === undefined ? 0 : placesAt(plan, batch, ['prepare']).sizes[shared]!
  for (const index of used)
    if (!away.has(index)) buffers.set(index, take(4 * (index === shared ? Math.max(sizes[index]!, own + most) : sizes[index]!)))
  const bringTo = shared === undefined ? take(4 * most) : buffers.get(shared)! + 4 * own
  const brought = wanted.map((list) => {
    let at = bringTo
    return list.map((tensor) => {
      const here = { tensor, at }
      at += 4 * room(tensor)
      return here
    })
  })
  const scratchBytes = Math.ceil(Math.max(0, ...modulesFor(plan, programs).map((m) => m.threadBytes)) / 64) * 64
  const scratch = take(scratchBytes * threads)
  const words: { at: number; words: readonly number[] }[] = []
  const put = (list: readonly number[]): number => {
    const at = take(4 * list.length, RECORD_ALIGNMENT)
    words.push({ at, words: list })
    return at
  }
  const address = (tensor: number): number =>
    away.has(plan.tensors[tensor]!.buffer) ? placeAway(tensor)! : buffers.get(plan.tensors[tensor]!.buffer)! + 4 * offsets[tensor]!
  const laidOut = new Map<string, { block: number; single: readonly number[] }>()
  for (const name of programs) {
    const records = plan.programs[name]!.dispatches.map((d, i) => {
      const bring = name === 'prepare' ? brought[i] : undefined
      const addressHere = (tensor: number): number => bring?.find((b) => b.tensor === tensor)?.at ?? address(tensor)
      const tasks = tasksOf(d.invocations, batch)
      if (tasks > MOST_TASKS)
        throw new DeviceError(`at batch ${batch} ${d.name} has ${tasks} tasks, a CPU counts them up to ${MOST_TASKS}: use a smaller batch`)
      return put([d.kernel, tasks, chunkOf(tasks, d.invocations.perSample, batch, threads), 0, ...d.tensors.map(addressHere)])
    })
    laidOut.set(name, { block: put([records.length, ...records]), single: records.map((record) => put([1, record])) })
  }
  const pages = Math.ceil(end / PAGE_BYTES) + 1
  return { bytes: pages * PAGE_BYTES, pages, buffers, away, brought, offsets, words, programs: laidOut, scratch, scratchBytes }
}
