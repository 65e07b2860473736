import { Code } from '../../compiler/targets/wasm/code.ts'
import { encodeModule, type WasmFunction } from '../../compiler/targets/wasm/encode.ts'
import { KERNEL, runFunction, workFunction } from '../../compiler/targets/wasm/run-loop.ts'
import { type Bundle, type DispatchEntry, FORMAT_VERSION, type Plan, type Size } from '../../bundle/format.ts'

/** Where a kernel traps: in the thread that calls `run`, in all others, or in these where the first does not fall asleep at the barrier within a second. */
export type Trap = 'never' | 'caller' | 'worker' | 'wakeful'

const WIDTH = 4
const nothing: Size = { fixed: 0, perSample: 0 }

/**
 * A bundle with a module made by hand: y = 16 x, [n, 4], by four kernels that each double. A task is a sample. `traps`: what
 * the third of them does.
 */
export function wasmFixture(traps: Trap = 'never'): Bundle {
  const names = ['twice', 'again', 'third', 'last']
  const module = encodeModule({
    types: [KERNEL],
    functions: [runFunction(0), workFunction(0), ...names.map((n) => double(n === 'third' ? traps : 'never'))],
    table: { isImported: false, size: names.length, rows: [{ first: 0, functions: names.map((_, i) => 2 + i) }] },
    maxPages: 65536,
    exports: [{ name: 'run', function: 0 }, { name: 'work', function: 1 }],
  })
  const dispatch = (name: string, i: number): DispatchEntry => ({
    kernel: i,
    name,
    tensors: [i, i + 1],
    invocations: { fixed: 0, perSample: 1 },
  })
  const infer = {
    dispatches: names.map(dispatch),
    results: { y: names.length },
    peakBytes: nothing,
    lowerBoundBytes: nothing,
    needsPrepare: false,
  }
  const plan: Plan = {
    target: 'wasm',
    buffers: ['input.x', ...names].map((name, i) => ({
      name,
      role: i === 0 ? 'input' : 'scratch',
      elements: { fixed: 0, perSample: WIDTH },
    })),
    tensors: ['x', ...names].map((name, buffer) => ({ name, shape: ['n', WIDTH], type: 'f32', buffer, offset: 0 })),
    kernels: names.map((name) => ({
      name,
      workgroup: 1,
      bindings: [{ name: 'from', access: 'read', type: 'f32' }, { name: 'to', access: 'read_write', type: 'f32' }],
    })),
    programs: { infer },
    modules: { infer: { file: 'wasm/infer.wasm', kernels: names.length, threadBytes: 64 } },
  }
  return {
    files: new Map([['wasm/infer.wasm', module]]),
    manifest: {
      format: 'fusenet-bundle',
      version: FORMAT_VERSION,
      name: 'doubles',
      style: 'merged',
      source: { files: [], sha256: '' },
      inputs: [{ name: 'x', type: 'f32', shape: ['n', WIDTH] }],
      outputs: [{ name: 'y', role: 'output', shape: ['n', WIDTH] }],
      parameters: [],
      plans: { wasm: plan },
    },
  }
}

const FLAG = 4096
const SCRATCH = 320
const SLEEPERS = 260

function double(traps: Trap): WasmFunction {
  const [record, scratch, task, end, at, looked] = [0, 1, 2, 3, 5, 6]
  const c = new Code()
  if (traps !== 'never') {
    c.get(scratch).i32(0).memory('i32.load', SCRATCH).op(traps === 'caller' ? 'i32.eq' : 'i32.ne').if()
    c.i32(0).i32(1).memory('i32.atomic.store', FLAG)
    if (traps === 'wakeful') {
      c.block().loop()
      c.i32(0).memory('i32.atomic.load', SLEEPERS).brIf(1)
      c.get(looked).i32(1).op('i32.add').tee(looked).i32(1e9).op('i32.lt_u').brIf(0)
      c.op('unreachable').end().end()
    } else c.op('unreachable')
    // The others wait, or they might take all tasks before.
    c.else().loop().i32(0).memory('i32.atomic.load', FLAG).op('i32.eqz').brIf(0).end().end()
  }
  c.loop()
  c.get(task).i32(4).op('i32.shl').set(at)
  c.get(record).memory('i32.load', 20).get(at).op('i32.add')
  for (let k = 0; k < 2; k++) c.get(record).memory('i32.load', 16).get(at).op('i32.add').memory('v128.load')
  c.op('f32x4.add').memory('v128.store')
  c.get(task).i32(1).op('i32.add').tee(task).get(end).op('i32.lt_u').brIf(0)
  c.end()
  return { type: KERNEL, locals: ['i32', 'i32'], code: c }
}
