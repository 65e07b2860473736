import { CONTROL, LINE_BYTES, RECORD } from '../../../bundle/wasm-abi.ts'
import { Code } from './code.ts'
import type { FunctionType, WasmFunction } from './encode.ts'

/**
 * A kernel: address of its record, address of this thread's memory, first task, the one after the last, and the first task of those that this thread has
 * done without a gap: what it has packed for one of them it still has.
 */
export const KERNEL: FunctionType = { params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: [] }

/**
 * A worker looks this often before it goes to sleep: about a tenth of a millisecond between two runs, or two dispatches. To wake takes half of that, and the
 * kernel that comes next is over by then: with a twentieth as many steps of five nets took 1 to 2 % longer.
 */
const SPINS = 400_000

/**
 * Who had to sleep at a barrier of this run looks a sixteenth as often at the next, down to about this: others compute on this machine, too, and the
 * thread that is waited for has no core before this one lets go of it.
 */
const FEWEST_SPINS = 1024

const NAMES = [
  'thread',
  'block',
  'count',
  'at',
  'record',
  'kernel',
  'tasks',
  'chunk',
  'scratch',
  'threads',
  'phase',
  'spins',
  'patience',
  'share',
  'owner',
  'turn',
  'begin',
  'end',
  'taken',
  'first',
  'last',
  'since',
  'done',
  'waited',
] as const

type Names = Readonly<Record<(typeof NAMES)[number], number>>

/**
 * `run(thread)`: every dispatch of the program in order. The tasks of a dispatch are cut into as many shares as there are threads, neighbours in one: a
 * thread takes its own in chunks, from the first on, then what others have not taken of theirs. Then all threads wait for each other. What is one chunk is
 * thread 0's, and they wait for it only where the next dispatch has work for all of them; once in a program at least, so that nobody finds the next one for
 * this one.
 */
export function runFunction(kernelType: number): WasmFunction {
  const c = new Code()
  const v = Object.fromEntries(NAMES.map((name, i) => [name, i])) as Names
  c.i32(0).memory('i32.load', CONTROL.program).set(v.block)
  c.get(v.block).memory('i32.load').set(v.count)
  c.i32(0).memory('i32.load', CONTROL.threads).set(v.threads)
  c.i32(0).memory('i32.load', CONTROL.scratchBytes).get(v.thread).op('i32.mul')
  c.i32(0).memory('i32.load', CONTROL.scratch).op('i32.add').set(v.scratch)
  c.i32(SPINS).set(v.patience)
  c.i32(0).set(v.at)
  c.block().loop()
  c.get(v.at).get(v.count).op('i32.ge_u').brIf(1)
  recordAt(c, v).set(v.record)
  c.get(v.record).memory('i32.load', RECORD.kernel).set(v.kernel)
  c.get(v.record).memory('i32.load', RECORD.tasks).set(v.tasks)
  c.get(v.record).memory('i32.load', RECORD.chunk).set(v.chunk)
  c.get(v.at).i32(1).op('i32.add').set(v.at)
  readPhase(c, v)
  c.get(v.chunk).get(v.tasks).op('i32.ge_u').if()
  c.get(v.thread).op('i32.eqz').if()
  c.get(v.record).i32(1).memory('i32.store', RECORD.busy)
  c.get(v.record).get(v.scratch).i32(0).get(v.tasks).i32(0).get(v.kernel).callIndirect(kernelType)
  c.get(v.record).i32(0).memory('i32.store', RECORD.busy)
  c.end()
  c.get(v.threads).i32(1).op('i32.le_s').brIf(1)
  c.get(v.at).get(v.count).op('i32.ge_u').brIf(1)
  recordAt(c, v).tee(v.owner).memory('i32.load', RECORD.chunk).get(v.owner).memory('i32.load', RECORD.tasks).op('i32.ge_u').brIf(1)
  c.else()
  c.get(v.record).i32(1).memory('i32.store', RECORD.busy)
  takeItems(c, v, kernelType)
  c.end()
  waitForOthers(c, v)
  c.i32(1).set(v.waited)
  c.br(0)
  c.end().end()
  c.get(v.threads).i32(1).op('i32.gt_s').get(v.waited).op('i32.eqz').op('i32.and').if()
  readPhase(c, v)
  waitForOthers(c, v)
  c.end()
  return { type: { params: ['i32'], results: [] }, locals: NAMES.slice(1).map(() => 'i32' as const), code: c }
}

/** The record of the dispatch at `at`. */
const recordAt = (c: Code, v: Names): Code => c.get(v.block).get(v.at).i32(2).op('i32.shl').op('i32.add').memory('i32.load', 4)

/** The barrier's state, read before this thread can arrive at it. */
function readPhase(c: Code, v: Names): void {
  c.i32(0).memory('i32.atomic.load', CONTROL.phase).set(v.phase)
}

/** Does tasks until nobody's share has any left. */
function takeItems(c: Code, v: Names, kernelType: number): void {
  c.get(v.tasks).get(v.threads).get(v.chunk).op('i32.mul').tee(v.share).op('i32.add').i32(1).op('i32.sub')
  c.get(v.share).op('i32.div_u').get(v.chunk).op('i32.mul').set(v.share)
  c.i32(-1).set(v.done)
  c.i32(0).set(v.turn)
  c.get(v.thread).set(v.owner)
  c.loop()
  c.get(v.owner).get(v.share).op('i32.mul').set(v.begin)
  smaller(c, v.end, v.tasks, () => c.get(v.begin).get(v.share).op('i32.add'))
  c.get(v.owner).i32(LINE_BYTES).op('i32.mul').set(v.taken)
  c.block().loop()
  c.get(v.taken).memory('i32.atomic.load', CONTROL.taken).get(v.begin).op('i32.add').get(v.end).op('i32.ge_u').brIf(1)
  c.get(v.taken).get(v.chunk).memory('i32.atomic.rmw.add', CONTROL.taken).get(v.begin).op('i32.add').tee(v.first)
  c.get(v.end).op('i32.ge_u').brIf(1)
  smaller(c, v.last, v.end, () => c.get(v.first).get(v.chunk).op('i32.add'))
  c.get(v.since).get(v.first).get(v.first).get(v.done).op('i32.eq').op('select').set(v.since)
  c.get(v.record).get(v.scratch).get(v.first).get(v.last).get(v.since).get(v.kernel).callIndirect(kernelType)
  c.get(v.last).set(v.done)
  c.br(0)
  c.end().end()
  c.i32(0).get(v.owner).i32(1).op('i32.add').get(v.owner).i32(1).op('i32.add').get(v.threads).op('i32.eq').op('select').set(v.owner)
  c.get(v.turn).i32(1).op('i32.add').tee(v.turn).get(v.threads).op('i32.lt_u').brIf(0)
  c.end()
}

/** Sets `local` to a number, or to `limit` where that is smaller: both unsigned. */
function smaller(c: Code, local: number, limit: number, number: () => void): void {
  number()
  c.tee(local).get(limit).get(local).get(limit).op('i32.lt_u').op('select').set(local)
}

/** The barrier behind a dispatch: the last to arrive prepares what is written for the next one, and lets everybody go on. */
function waitForOthers(c: Code, v: Names): void {
  c.block()
  c.i32(0).i32(1).memory('i32.atomic.rmw.add', CONTROL.arrived).i32(1).op('i32.add').get(v.threads).op('i32.eq').if()
  c.get(v.record).i32(0).memory('i32.store', RECORD.busy)
  c.i32(0).set(v.owner)
  c.loop()
  c.get(v.owner).i32(LINE_BYTES).op('i32.mul').i32(0).memory('i32.store', CONTROL.taken)
  c.get(v.owner).i32(1).op('i32.add').tee(v.owner).get(v.threads).op('i32.lt_u').brIf(0)
  c.end()
  c.i32(0).i32(0).memory('i32.atomic.store', CONTROL.arrived)
  c.i32(0).i32(1).memory('i32.atomic.rmw.add', CONTROL.phase).op('drop')
  c.i32(0).memory('i32.atomic.load', CONTROL.sleepers).if()
  c.i32(0).i32(-1).memory('memory.atomic.notify', CONTROL.phase).op('drop')
  c.end()
  c.br(1)
  c.end()
  c.i32(0).set(v.spins)
  c.loop()
  c.i32(0).memory('i32.atomic.load', CONTROL.phase).get(v.phase).op('i32.ne').if()
  // Twice as long where it was close: behind a quarter of what is allowed.
  c.get(v.patience).get(v.spins).i32(2).op('i32.shl').get(v.patience).op('i32.gt_u')
  c.get(v.patience).i32(SPINS).op('i32.lt_u').op('i32.and').op('i32.shl').set(v.patience)
  c.br(2)
  c.end()
  c.get(v.spins).i32(1).op('i32.add').tee(v.spins).get(v.patience).op('i32.lt_u').brIf(0)
  // Thread 0 may be a page's main thread, which must not sleep. Elsewhere it does: where others compute, too, its core is what the rest need.
  c.get(v.thread).op('i32.eqz').i32(0).memory('i32.load', CONTROL.mayWait).op('i32.eqz').op('i32.and').brIf(0)
  c.i32(0).i32(1).memory('i32.atomic.rmw.add', CONTROL.sleepers).op('drop')
  sleep(c, CONTROL.phase, () => c.get(v.phase))
  c.get(v.patience).i32(4).op('i32.shr_u').i32(FEWEST_SPINS).op('i32.or').set(v.patience)
  c.i32(0).set(v.spins)
  c.i32(0).i32(-1).memory('i32.atomic.rmw.add', CONTROL.sleepers).op('drop')
  c.br(0)
  c.end()
  c.end()
}

/** `work(thread)`: runs whatever is started until it is told to stop. */
export function workFunction(run: number): WasmFunction {
  const c = new Code()
  const [thread, seen, spins] = [0, 1, 2]
  // Runs are counted from 0; a worker is there before the first starts.
  c.i32(0).set(seen)
  c.loop()
  c.i32(0).set(spins)
  c.block().loop()
  c.i32(0).memory('i32.atomic.load', CONTROL.go).get(seen).op('i32.ne').brIf(1)
  c.get(spins).i32(1).op('i32.add').tee(spins).i32(SPINS).op('i32.lt_u').brIf(0)
  sleep(c, CONTROL.go, () => c.get(seen))
  c.br(0)
  c.end().end()
  c.get(seen).i32(1).op('i32.add').set(seen)
  c.i32(0).memory('i32.atomic.load', CONTROL.stop).if().op('return').end()
  c.get(thread).call(run)
  c.br(0)
  c.end()
  return { type: { params: ['i32'], results: [] }, locals: ['i32', 'i32'], code: c }
}

/** Until the word is no longer what it was, or some time has passed: nobody sleeps forever. */
function sleep(c: Code, address: number, was: () => void): void {
  c.i32(0)
  was()
  // A second, in nanoseconds.
  c.i64(1_000_000_000)
  c.memory('memory.atomic.wait32', address).op('drop')
}
