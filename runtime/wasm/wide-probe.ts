/*
 * A question that only a measurement answers: is a register tile of 4 x 16 sums, whose vectors lie in pairs, faster than one of 4 x 8? Where an engine joins
 * the pairs it takes half of the time (1.8 times the speed on AVX2); where it does not, registers run out and it is slower (0.6).
 */

/** Milliseconds after which the answer is no: by then the optimizing compiler has had its turn many times. */
const MOST_MS = 150
/** Turns in a row that must be faster by so much. */
const TURNS = 3
const FASTER = 1.3
/** Steps of the wide tile in a turn: 20 microseconds. */
const STEPS = 4096
const ROWS = 4

/** Byte addresses: a panel of 16 columns, what is broadcast, and the sums of both tiles. */
const [PANEL, POINTS, NARROW, WIDE] = [0, 128, 256, 512] as const

/** Both tiles are in one function, so that the optimizing compiler takes over in both at once. */
export function wideProbe(): boolean {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(probeModule())))
  const { memory, run } = exports as unknown as { memory: WebAssembly.Memory; run: (wide: number, steps: number) => void }
  const numbers = new Float32Array(memory.buffer)
  for (let i = 0; i < 64; i++) numbers[i] = Math.sin(i + 1)
  const time = (wide: number, steps: number): number => {
    const start = performance.now()
    run(wide, steps)
    return performance.now() - start
  }
  const start = performance.now()
  for (let faster = 0; performance.now() - start < MOST_MS;) {
    const [narrow, wide] = [time(0, 2 * STEPS), time(1, STEPS)]
    faster = narrow > FASTER * wide ? faster + 1 : 0
    if (faster === TURNS) return hasEqualBits(run, memory)
  }
  return false
}

/** Sums of the first eight columns, by both tiles. */
function hasEqualBits(run: (wide: number, steps: number) => void, memory: WebAssembly.Memory): boolean {
  const words = new Int32Array(memory.buffer)
  run(0, STEPS)
  run(1, STEPS)
  for (let row = 0; row < ROWS; row++) {
    for (let column = 0; column < 8; column++)
      if (words[NARROW / 4 + 8 * row + column] !== words[WIDE / 4 + 16 * row + column]) return false
  }
  return true
}

/** (func (export "run") (param $wide i32) (param $steps i32)), with a memory of its own, which is exported, too. */
function probeModule(): number[] {
  const [I32, V128, END] = [0x7f, 0x7b, 0x0b]
  // Locals: parameters, a base address of 0, a number in all lanes, four vectors of the panel, sums.
  const [base, point, panel, sums] = [2, 3, 4, 8]
  const get = (local: number): number[] => [0x20, local]
  const set = (local: number): number[] => [0x21, local]
  const simd = (code: number): number[] => [0xfd, ...unsigned(code)]
  const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
  const tile = (vectors: number, into: number): number[] => {
    const sum = (row: number, v: number): number => sums + row * vectors + v
    const all = range(ROWS).flatMap((row) => range(vectors).map((v) => [row, v] as const))
    return [
      ...all.flatMap(([row, v]) => [...simd(0x0c), ...range(16).fill(0), ...set(sum(row, v))]), // v128.const of zeros
      ...[0x03, 0x40], // loop
      ...range(vectors).flatMap((v) => [...get(base), ...simd(0x00), 4, ...unsigned(PANEL + 16 * v), ...set(panel + v)]), // v128.load
      ...range(ROWS).flatMap((row) => [
        ...[...get(base), ...simd(0x09), 2, ...unsigned(POINTS + 4 * row), ...set(point)], // v128.load32_splat
        ...range(vectors).flatMap((v) => [...get(point), ...get(panel + v), ...get(sum(row, v)), ...simd(0x105), ...set(sum(row, v))]),
      ]),
      ...[...get(1), 0x41, 1, 0x6b, 0x22, 1, 0x0d, 0, END], // br_if 0 while steps - 1 is not zero
      // The upper of two neighbours first.
      ...all.reverse().flatMap(([row, v]) => [
        ...[...get(base), ...get(sum(row, v)), ...simd(0x0b), 4, ...unsigned(into + 16 * (row * vectors + v))], // v128.store
      ]),
    ]
  }
  const body = [...get(0), 0x04, 0x40, ...tile(4, WIDE), 0x05, ...tile(2, NARROW), END, END]
  const locals = [2, 1, I32, ...unsigned(5 + 4 * ROWS), V128]
  const code = [...locals, ...body]
  const section = (id: number, bytes: readonly number[]): number[] => [id, ...unsigned(bytes.length), ...bytes]
  const name = (text: string): number[] => [text.length, ...Array.from(text, (c) => c.charCodeAt(0))]
  return [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, I32, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('run'), 0, 0, ...name('memory'), 2, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value;; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest & 127) | 128)
  }
}
