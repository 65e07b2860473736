/**
 * PyTorch, native, on the CPU beside WebAssembly and by CUDA beside WebGPU (TF32 off), eager or through torch.compile, where Debian's or another Python has it (BENCH_PYTHON): torch_peer.py in a process of its own, spoken to in
 * lines of JSON. The clock runs there, so the way between the processes costs it nothing.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Unsupported } from '../common.mjs'
import { EPS, NEWEST, foldBatchNorm } from '../nets.mjs'
import { CHECKED_PARAMETERS, SOLVER } from '../workloads.mjs'

const PYTHON = process.env.BENCH_PYTHON ?? '/usr/bin/python3'

export async function open(backend, { threads, name }) {
  const python = await start(threads)
  const { version, device } = await python.ask({
    call: 'open',
    threads,
    device: backend === 'webgpu' ? process.env.BENCH_TORCH_DEVICE ?? 'cuda' : 'cpu',
    compile: name === 'torch-compile',
  })
  // What torch.compile makes has a layout of its own choice.
  const usual = device === 'cuda' && name === 'torch' ? ['contiguous_format', 'channels_last'] : undefined
  return { version, threads, prepare: (workload) => prepare(python, { layouts: usual, ...workload }) }
}

async function prepare(python, workload) {
  const { mode, batch, image, label, upstream, solver = SOLVER, steps = 2, checked = CHECKED_PARAMETERS, layouts } = workload
  // Who deploys a net folds batch normalization; PyTorch does not do it by itself.
  const { net, parameters } = mode === 'infer' ? foldBatchNorm(workload.net, workload.parameters) : workload
  await python.ask({
    call: 'prepare',
    mode,
    eps: EPS,
    newest: NEWEST,
    solver,
    steps,
    layouts,
    checked,
    layers: net.layers,
    output: net.output,
    softmax: net.softmax,
    parameters: net.parameters().map(({ name, shape, trainable }) => ({ name, trainable, ...encode(parameters.get(name), shape) })),
    image: encode(image, [batch, ...net.inputShape]),
    // A label a sample, or one a position of the scores.
    label: label && encode(label, [batch, ...net.shapes.get(net.output).slice(1)]),
    upstream: upstream && encode(upstream, [batch, ...net.shapes.get(net.output)]),
  })
  let layout
  return {
    layout: () => layout,
    async check() {
      const found = await python.ask({ call: 'check' })
      layout = python.layout()
      return Object.fromEntries(Object.entries(found).map(([name, base64]) => [name, decode(base64)]))
    },
    repeat: async (atLeastMs, clock) => (await python.ask({ call: 'repeat', atLeastMs, clock })).ms,
  }
}

async function start(threads) {
  // OpenBLAS finds the kernels for this processor itself; somebody's choice of others would be measured instead. Threads that it starts
  // beside PyTorch's own get in their way.
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...rest } = process.env
  const env = { ...rest, OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) }
  const child = spawn(PYTHON, [fileURLToPath(new URL('torch_peer.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'], env })
  const waiting = []
  const fail = (error) => {
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  child.on('error', (error) => fail(error.code === 'ENOENT' ? new Unsupported('not installed') : error))
  child.on('exit', (code, signal) => fail(new Error(`python ended: ${signal ?? `exit code ${code}`}`)))
  child.stdin.on('error', () => {}) // It ended: `exit` says so.
  let layout
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { result, error, missing, ...rest } = JSON.parse(line)
    layout = rest.layout ?? layout
    const { resolve, reject } = waiting.shift()
    if (missing) reject(new Unsupported(missing))
    else if (error) reject(new Error(error))
    else resolve(result)
  })
  return {
    /** The memory layout that the last checked session computes in. */
    layout: () => layout,
    ask: (request) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        child.stdin.write(`${JSON.stringify(request)}\n`)
      }),
  }
}

const encode = (data, shape) => ({
  shape,
  type: data instanceof Int32Array ? 'int32' : 'float32',
  data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
})

/** Copied, so that it starts where an array of floats may. */
const decode = (base64) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer)
