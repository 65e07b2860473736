import { CONTROL, RECORD } from '../../../bundle/wasm-abi.ts'
import { Code } from './code.ts'
import type { FunctionType, WasmFunction } from './encode.ts'

/** A kernel: address of its record, address of this thread's memory, first item and the one after the last. */
export const KERNEL: FunctionType = { params: ['i32', 'i32', 'i32', 'i32'], results: [] }

/** A worker looks this often before it goes to sleep: some tens of microseconds between two runs, or two dispatches. */
const SPINS = 20_000

/** `run(thread)`: every dispatch of the program in order; all threads take items until none is left, then wait for each other. */
export function runFunction(kernelType: number): WasmFunction {
  const c = new Code()
  const [thread, block, count, at, record, kernel, items, chunk, first, last, scratch, threads, phase, spins] = Array.from(
    { length: 14 },
    (_, i) => i,
  ) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const control = (address: number): Code => c.i32(address)
  control(0).memory('i32.load', CONTROL.program).set(block)
  c.get(block).memory('i32.load').set(count)
  control(0).memory('i32.load', CONTROL.threads).set(threads)
  control(0).memory('i32.load', CONTROL.scratchBytes).get(thread).op('i32.mul')
  control(0).memory('i32.load', CONTROL.scratch).op('i32.add').set(scratch)
  c.i32(0).set(at)
  c.block().loop()
  c.get(at).get(count).op('i32.ge_u').brIf(1)
  c.get(block).get(at).i32(2).op('i32.shl').op('i32.add').memory('i32.load', 4).set(record)
  c.get(record).memory('i32.load', RECORD.kernel).set(kernel)
  c.get(record).memory('i32.load', RECORD.items).set(items)
  c.get(record).memory('i32.load', RECORD.chunk).set(chunk)
  // The barrier's state is read before this thread can arrive at it.
  control(0).memory('i32.atomic.load', CONTROL.phase).set(phase)
  c.block().loop()
  c.get(record).get(chunk).memory('i32.atomic.rmw.add', RECORD.next).tee(first).get(items).op('i32.ge_u').brIf(1)
  c.get(first).get(chunk).op('i32.add').tee(last).get(items).get(last).get(items).op('i32.lt_u').op('select').set(last)
  c.get(record).get(scratch).get(first).get(last).get(kernel).callIndirect(kernelType)
  c.br(0)
  c.end().end()
  // The last to arrive prepares the record for the next run and lets everybody go on.
  c.block()
  c.get(threads).i32(1).op('i32.le_s').if()
  c.get(record).i32(0).memory('i32.store', RECORD.next)
  c.br(1)
  c.end()
  control(0).i32(1).memory('i32.atomic.rmw.add', CONTROL.arrived).i32(1).op('i32.add').get(threads).op('i32.eq').if()
  c.get(record).i32(0).memory('i32.store', RECORD.next)
  control(0).i32(0).memory('i32.atomic.store', CONTROL.arrived)
  control(0).i32(1).memory('i32.atomic.rmw.add', CONTROL.phase).op('drop')
  control(0).memory('i32.atomic.load', CONTROL.sleepers).if()
  control(0).i32(-1).memory('memory.atomic.notify', CONTROL.phase).op('drop')
  c.end()
  c.br(1)
  c.end()
  c.i32(0).set(spins)
  c.loop()
  control(0).memory('i32.atomic.load', CONTROL.phase).get(phase).op('i32.ne').brIf(1)
  // Thread 0 may be a page's main thread, which must not sleep.
  c.get(spins).i32(1).op('i32.add').tee(spins).i32(SPINS).op('i32.lt_u').get(thread).op('i32.eqz').op('i32.or').brIf(0)
  control(0).i32(1).memory('i32.atomic.rmw.add', CONTROL.sleepers).op('drop')
  sleep(c, CONTROL.phase, () => c.get(phase))
  control(0).i32(-1).memory('i32.atomic.rmw.add', CONTROL.sleepers).op('drop')
  c.br(0)
  c.end()
  c.end()
  c.get(at).i32(1).op('i32.add').set(at)
  c.br(0)
  c.end().end()
  return { type: { params: ['i32'], results: [] }, locals: Array.from({ length: 13 }, () => 'i32' as const), code: c }
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
