import { knownSchedule } from '../known-schedule.ts'
import { WASM } from '../../../bundle/plans.ts'
import { bufferOf, elementsPerSample } from '../../ir/tensor.ts'
import { canonicalText } from '../../ir/fingerprint.ts'
import { chooseNest, makingImages, refuseOnLoad } from '../../codegen/cpu/choose.ts'
import type { Axis } from '../../ir/affine.ts'
import type { BlockSizes, Equation } from '../../ir/equation.ts'
import { bindingsOf } from '../../codegen/bindings.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import { lowerLoopNest } from '../../codegen/cpu/lower.ts'
import type { NestChoice } from '../../codegen/cpu/loop-nest.ts'
import type { PrintedKernel, LinkedModule } from '../../codegen/printed-kernel.ts'
import { gridSize } from '../../codegen/grid.ts'
import type { Printer, Schedules, Target } from '../target.ts'
import { encodeModule, type WasmFunction } from './encode.ts'
import { MATH, mathFunctions } from './math.ts'
import { printFunction } from './print.ts'
import { KERNEL, runFunction, workFunction } from './run-loop.ts'

/** WebAssembly with SIMD, and with relaxed SIMD beside it: one module for all kernels that a group of programs needs. */
export const wasm: Target = {
  ...targetOf({}),
  // Without Winograd's algorithm, whatever is known to be fast.
  precise: targetOf({ winograd: false }),
}

/** `always`: what every choice has. */
function targetOf(always: NestChoice): Target {
  const rowsOf = onceByShape((e) => chooseNest(e, always).rows)
  const makesImages = makingImages(always)
  return {
    name: WASM,
    maxBindings: 16,
    sharesBuffers: true,
    prologueLoads: 2,
    candidates: (e) => candidates(e, always),
    blocksOf: (e) => blocksOf(e, rowsOf),
    refuseOnLoad: (e) => refuseOnLoad(e, makesImages),
    printer: (_, schedules) => printer(always, schedules),
  }
}

/** Statistics are gathered of whole pictures, or of the rows that an item computes. */
function blocksOf(equation: Equation, rowsOf: (e: Equation) => number | undefined): BlockSizes | string {
  const whole = (a: Axis): number => (typeof a.extent === 'number' ? a.extent : 1)
  if (equation.axes.length < 3) return `${equation.name} computes no pictures`
  // Nests walk maps of rows and columns.
  if (equation.axes.length > 4) return `${equation.name} computes maps of more than two axes`
  const rows = rowsOf(equation)
  const row = equation.axes.at(-2)!
  return rows === undefined ? whole : (a) => (a === row ? rows : whole(a))
}

/** Register tiles behind the best that are worth a measurement. */
const TILES = 5

/** Other tiles, and the direct way beside Winograd's: what the model may be wrong about. */
function candidates(e: Equation, always: NestChoice): readonly NestChoice[] {
  const chosen = chooseNest(e, always)
  const found = new Map<string, NestChoice>([[chosen.summary, {}]])
  const tiles = Array.from({ length: TILES }, (_, i) => i + 1)
  for (
    const choice of [
      ...tiles.map((tile): NestChoice => ({ tile })),
      { winograd: false } as const,
      ...tiles.map((tile) => ({ winograd: false, tile }) as const),
    ]
  ) {
    const nest = chooseNest(e, { ...choice, ...always })
    // What is gathered on the way lies in the blocks of the chosen one.
    if (e.sides.length > 0 && nest.rows !== chosen.rows) continue
    if (!found.has(nest.summary)) found.set(nest.summary, choice)
  }
  return [...found.values()]
}

/** Functions of the module before the first kernel: the run loop, what workers do, mathematics. */
const RUN = 0
const WORK = 1
const FIRST_MATH = 2
const FIRST_KERNEL = FIRST_MATH + MATH.length

interface Known {
  readonly baseline: WasmFunction
  readonly text: string
  readonly how: string
  readonly threadBytes: number
  readonly items: PrintedKernel['invocations']
}

function printer(always: NestChoice, schedules?: Schedules): Printer {
  const known = new Map<string, Known>()
  const byText = new Map<string, Known>()
  const lowered = (equation: Equation, key: string): Known => {
    const before = known.get(key)
    if (before) return before
    const nest = chooseNest(equation, {
      ...knownSchedule(equation, schedules, () => candidates(equation, always), (choice) => choice),
      ...always,
    })
    const routine = lowerLoopNest(equation, nest, bufferOf)
    const baseline = printFunction(routine, { math: FIRST_MATH })
    const last = routine.packBuffers.at(-1)
    const made: Known = {
      baseline,
      text: `${baseline.locals.join()} ${latin(baseline.code.bytes)}`,
      how: nest.summary,
      threadBytes: last ? 4 * (last.offset + elementsPerSample(last.tensor.shape) + 16) : 0,
      items: gridSize(routine.grid.map((g) => g.extent)),
    }
    known.set(key, made)
    byText.set(made.text, byText.get(made.text) ?? made)
    return made
  }
  return {
    print: (equation) => {
      const bindings = bindingsOf(equation, bufferOf, (name) => name)
      // Names do not reach the code: layers of one shape share a kernel.
      const kernel = lowered(equation, `${bindings.map((b) => b.access).join()}\n${canonicalText(equation, false).text}`)
      return { bindings, invocations: kernel.items, workgroup: 1, text: kernel.text, how: kernel.how }
    },
    link: (texts, name) => link(texts.map((text) => byText.get(text)!), name),
  }
}

const latin = (bytes: readonly number[]): string => {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function link(kernels: readonly Known[], name: string): LinkedModule {
  const [file, relaxed] = [`${name}.wasm`, `${name}-relaxed.wasm`]
  const module = (functions: readonly WasmFunction[]): Uint8Array =>
    encodeModule({
      types: [KERNEL],
      functions: [runFunction(0), workFunction(RUN), ...mathFunctions(FIRST_MATH), ...functions],
      table: kernels.map((_, i) => FIRST_KERNEL + i),
      exports: [{ name: 'run', function: RUN }, { name: 'work', function: WORK }],
      tableExport: 'kernels',
      maxPages: 65536,
    })
  return {
    entry: { file, relaxed, kernels: kernels.length, threadBytes: Math.max(0, ...kernels.map((k) => k.threadBytes)) },
    files: new Map([[file, module(kernels.map((k) => k.baseline))], [
      relaxed,
      module(kernels.map(({ baseline }) => ({ ...baseline, code: baseline.code.relaxed() }))),
    ]]),
  }
}
