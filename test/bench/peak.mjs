/**
 * The peak of 128-bit WebAssembly on one core, measured: chains of x = x * c + d that depend on nothing but themselves, as many
 * as hide the latency of the operations, all in registers, nothing read from memory. A kernel does as well at best.
 */
import { setFlagsFromString } from 'node:v8'
import { dist } from './device.mjs'

const { hasRelaxed } = await import(new URL('runtime/wasm/relax.js', dist))

// The optimizing compiler at once: what is measured would end before it noticed.
setFlagsFromString('--no-liftoff')
hasRelaxed()

/** GFLOP/s, the best of all shapes and samples: `plain` of multiplications and additions, `fused` of relaxed SIMD's multiply-add. */
export class Peak {
  #plain = CHAINS.map((chains) => instantiate(chains, false))
  #fused = WebAssembly.validate(peakModule(1, true)) ? CHAINS.map((chains) => instantiate(chains, true)) : []
  plain = 0
  fused = 0

  /** Some milliseconds more of measuring: between competitors, it sees the machine in the state in which they do. */
  sample() {
    this.plain = Math.max(this.plain, ...this.#plain.map(measure))
    this.fused = Math.max(this.fused, ...this.#fused.map(measure))
  }

  /** What shares are of: what the machine does with 128 bits. Zen reaches it either way, others only fused. */
  get gflops() {
    return Math.max(this.plain, this.fused)
  }
}

/** Operations take 3 or 4 cycles and start two a cycle; what sixteen registers cannot hold is slow. */
const CHAINS = [8, 10, 12, 13]
const TURNS = 20_000

/** The best of a few: interruptions last longer than one. */
function measure({ chains, run }) {
  let best = 0
  for (let i = 0; i < 5; i++) {
    const start = performance.now()
    run(TURNS)
    best = Math.max(best, (TURNS * chains * 4 * 2) / (performance.now() - start) / 1e6)
  }
  return best
}

function instantiate(chains, fused) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(peakModule(chains, fused)))
  return { chains, run: exports.run }
}

/** (func (export "run") (param $turns i32) (result f32)): the sum of the chains' first lanes, so that none is left out. */
function peakModule(chains, fused) {
  const [I32, F32, V128] = [0x7f, 0x7d, 0x7b]
  const simd = (code) => [0xfd, ...unsigned(code)]
  const get = (local) => [0x20, local]
  const set = (local) => [0x21, local]
  const splat = (value) => [0x43, ...new Uint8Array(Float32Array.of(value).buffer), ...simd(0x13)]
  const [c, d] = [chains + 1, chains + 2] // local 0 counts turns, then come the chains
  const add = [...get(d), ...simd(0xe4)]
  const multiply = [...get(c), ...simd(0xe6)]
  const madd = [...get(c), ...get(d), ...simd(0x105)]
  // Every other chain adds first: both kinds of units then have work at any time.
  const operations = (x) => (fused ? madd : x % 2 ? [...multiply, ...add] : [...add, ...multiply])
  const all = Array.from({ length: chains }, (_, i) => i + 1)

  const body = [
    // 0.999 x + 0.001 stays where numbers are normal.
    ...splat(0.999),
    ...set(c),
    ...splat(0.001),
    ...set(d),
    ...all.flatMap((x) => [...splat(1 + x / 16), ...set(x)]),
    0x03,
    0x40, // loop
    ...all.flatMap((x) => [...get(x), ...operations(x), ...set(x)]),
    ...get(0),
    0x41,
    1,
    0x6b,
    0x22,
    0,
    0x0d,
    0, // br_if 0 while turns - 1 is not zero
    0x0b,
    ...get(1),
    ...all.slice(1).flatMap((x) => [...get(x), ...simd(0xe4)]),
    ...simd(0x1f),
    0, // extract_lane 0
    0x0b,
  ]
  const code = [1, ...unsigned(chains + 2), V128, ...body]
  const section = (id, bytes) => [id, ...unsigned(bytes.length), ...bytes]
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, 1, I32, 1, F32]),
    ...section(3, [1, 0]),
    ...section(7, [1, 3, ...Buffer.from('run'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ])
}

function unsigned(value) {
  const bytes = []
  for (let rest = value;; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest & 127) | 128)
  }
}
