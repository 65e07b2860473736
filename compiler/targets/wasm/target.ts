import { onceForAll } from '../../compile-cache.ts'
import { WASM } from '../../../bundle/plans.ts'
import { bufferOf, elementsPerSample } from '../../ir/tensor.ts'
import { inOrder } from '../../ir/in-order.ts'
import { kernelText } from '../kernel-cache.ts'
import { onceByNode } from '../../ir/once-by-node.ts'
import { firstOfShape } from '../../ir/once-by-shape.ts'
import { applySchedule } from '../../codegen/cpu/apply-schedule.ts'
import { CpuScheduler, type Fitted } from '../../codegen/cpu/choose.ts'
import { type Rule, RULES, type ScheduleLimits } from '../../codegen/cpu/rules.ts'
import { parseSchedule, ScheduleMismatch } from '../../codegen/cpu/schedule.ts'
import type { Equation } from '../../ir/equation.ts'
import { bindingsOf } from '../../codegen/bindings.ts'
import { lowerLoopNest } from '../../codegen/cpu/lower.ts'
import type { KernelFunction } from '../../codegen/kernel-function.ts'
import type { LoopNest } from '../../codegen/cpu/loop-nest.ts'
import { widenNest } from '../../codegen/cpu/wide.ts'
import type { LinkedModule, LinkRequest, PrintedKernel } from '../../codegen/printed-kernel.ts'
import { gridSize } from '../../codegen/grid.ts'
import { KnownSchedules, RefusedSchedule } from '../known-schedule.ts'
import type { Printer, ScheduleData, Schedules, Target } from '../target.ts'
import { encodeModule, type WasmFunction } from './encode.ts'
import { MATH, mathFunctions } from './math.ts'
import { CAPABILITIES, printFunction } from './print.ts'
import { KERNEL, runFunction, workFunction } from './run-loop.ts'

/** Files of modules end in what they are, which the target is called after. */
const EXTENSION = WASM

/** WebAssembly with SIMD: a module for each group of programs, with the kernels that the groups before it do not need. */
export const wasm: Target = {
  ...targetOf({}),
  wide: targetOf({ wide: true }),
  // Without Winograd's algorithm, whatever is known to be fast.
  precise: { ...targetOf({ precise: true }), wide: targetOf({ precise: true, wide: true }) },
}

/** The target with other limits, or other rules to choose schedules by. */
export function targetOf(limits: ScheduleLimits, rules: readonly Rule[] = RULES): Target {
  const scheduler = new CpuScheduler(limits, rules)
  return {
    name: WASM,
    extension: EXTENSION,
    capabilities: CAPABILITIES,
    maxBindings: 16,
    sharesBuffers: true,
    maxPrologueInputs: 2,
    storesPrologues: true,
    inTasks: true,
    packsPrologue: (joined, plain) => scheduler.packsPrologue(joined, plain),
    candidates: (e) => scheduler.candidates(e),
    statisticsBlock: (e) => scheduler.statisticsBlock(e),
    rejectFusedProducer: (e) => scheduler.rejectFusedProducer(e),
    inProgram: (e, batch) => scheduler.inProgram(e, batch),
    prepack: (e, isConstant, batch, schedules) => {
      const found = scheduler.prepack(e, isConstant, batch)
      const known = found && new KnownSchedules(schedules).take(e, (json) => fittedFrom(json, e, scheduler))
      return known && JSON.stringify(known.schedule) !== JSON.stringify(scheduler.scheduleOf(found.equation)) ? undefined : found
    },
    rejectJoined: (joined, plain) => scheduler.rejectJoined(joined, plain),
    price: (joined, plain, passes) => scheduler.price(joined, plain, passes),
    printer: (_, schedules) => printer(scheduler, { schedules, isShared: rules === RULES }),
  }
}

/** A schedule that was given for an equation, and the loop nest by it. Throws RefusedSchedule where it does not fit or is not allowed. */
function fittedFrom(json: ScheduleData, e: Equation, scheduler: CpuScheduler): Fitted {
  try {
    const schedule = parseSchedule(json)
    if (!scheduler.allows(schedule)) throw new RefusedSchedule("it is by Winograd's algorithm, which is left out")
    return { schedule, nest: applySchedule(e, schedule) }
  } catch (error) {
    if (!(error instanceof ScheduleMismatch)) throw error
    // A weight is packed for what the compiler chooses where the schedule does not fit: that is no reason.
    const { prepacked, ...plain } = e
    if (prepacked) fittedFrom(json, plain, scheduler)
    throw new RefusedSchedule(error.message)
  }
}

/** Functions before the first kernel: mathematics in every module, then the run loop and what workers do in the first. */
const FIRST_MATH = 0
const RUN = MATH.length
const WORK = RUN + 1

const bindingsBy = onceByNode((e: Equation) => bindingsOf(e, bufferOf, (name) => name))

interface Known {
  readonly baseline: WasmFunction
  /** The form for engines that join neighbouring vectors, where it wins. */
  readonly wide?: WasmFunction | undefined
  readonly text: string
  readonly how: string
  readonly threadBytes: number
  readonly tasks: PrintedKernel['invocations']
}

/** Memory that a thread has for packing; vectors are read a little beyond the end. */
function bytesOfThread({ packBuffers }: KernelFunction): number {
  const last = packBuffers.at(-1)
  return last ? 4 * (last.offset + elementsPerSample(last.tensor.shape) + 16) : 0
}

interface PrinterOptions {
  readonly schedules?: Schedules | undefined
  /** Whether other compilations choose alike, so that they have the same kernels. */
  readonly isShared: boolean
}

function printer(scheduler: CpuScheduler, { schedules, isShared }: PrinterOptions): Printer {
  const { limits } = scheduler
  const given = new KnownSchedules(schedules)
  const nestOf = (e: Equation): LoopNest => given.take(e, (json) => fittedFrom(json, e, scheduler))?.nest ?? scheduler.nestOf(e)
  const known = new Map<string, Known>()
  const byText = new Map<string, Known>()
  const generate = (equation: Equation): Known => {
    const nest = nestOf(equation)
    const kernel = lowerLoopNest(equation, nest, bufferOf)
    const baseline = printFunction(kernel, { math: FIRST_MATH })
    const paired = limits.wide && widenNest(nest)
    const wide = paired && lowerLoopNest(equation, paired, bufferOf)
    return {
      baseline,
      ...(wide && { wide: printFunction(wide, { math: FIRST_MATH, inPairs: true }) }),
      text: `${baseline.locals.join()} ${latin(baseline.code.bytes)}`,
      how: nest.summary,
      threadBytes: bytesOfThread(wide ?? kernel),
      tasks: gridSize(kernel.grid.map((g) => g.extent)),
    }
  }
  const lowered = (equation: Equation, key: string): Known => {
    const before = known.get(key)
    if (before) return before
    // What a kernel says of its work names what it makes on load.
    const question = `${JSON.stringify(limits)} ${equation.fusedProducer?.store.tensor.name ?? ''} ${key}`
    const made = schedules || !isShared ? generate(inOrder(equation))
      : onceForAll('kernel/cpu', question, () => generate(sameKernel(equation, key)), bytesOfKernel)
    known.set(key, made)
    byText.set(made.text, byText.get(made.text) ?? made)
    return made
  }
  return {
    print: (equation) => {
      const bindings = bindingsBy(equation)
      // Names do not reach the code: layers of one shape share a kernel.
      const kernel = lowered(equation, kernelText(equation))
      return { bindings, invocations: kernel.tasks, workgroup: 1, text: kernel.text, how: kernel.how }
    },
    lower: (given) => {
      const equation = inOrder(given)
      return [lowerLoopNest(equation, nestOf(equation), bufferOf)]
    },
    link: (texts, request) => link(texts.map((text) => byText.get(text)!), request),
    scheduleUse: () => given.use(),
    schedulesTaken: () => given.taken(),
  }
}

/** An equation with the same kernel (of this `kernelText`) that more is known of; itself, its axes in order, where there is none. */
function sameKernel(e: Equation, key: string): Equation {
  const first = firstOfShape(e)
  return kernelText(first) === key && first.fusedProducer?.store.tensor.name === e.fusedProducer?.store.tensor.name ? first : inOrder(e)
}

/** Memory for its code grows by doubling; its text has a byte for each of the code. */
const bytesOfKernel = ({ baseline, wide, text }: Known): number =>
  2 * (baseline.code.bytes.length + (wide?.code.bytes.length ?? 0)) + text.length + 512

/** The number of pages of 64 KiB that a memory has at most. */
const MOST_PAGES = 65536

/** So many arguments are safe for a call on every engine. */
const CHUNK = 4096

/** Bytes as a text of Latin-1 characters. */
function latin(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHUNK)
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK) as unknown as number[])
  return text
}

/** The module of some kernels of a plan: those from `first` on, of `total`. The first module has the run loop and the table, later ones fill it. */
function link(kernels: readonly Known[], { name, isFirst, first, total }: LinkRequest): LinkedModule {
  const file = `${name}.${EXTENSION}`
  const own = isFirst ? [runFunction(0), workFunction(RUN)] : []
  const from = MATH.length + own.length
  const code = kernels.map((k) => k.baseline)
  const module = encodeModule({
    types: [KERNEL],
    functions: [...mathFunctions(FIRST_MATH, code), ...own, ...code],
    table: { isImported: !isFirst, size: total, rows: [{ first, functions: kernels.map((_, i) => from + i) }] },
    exports: isFirst ? [{ name: 'run', function: RUN }, { name: 'work', function: WORK }] : [],
    maxPages: MOST_PAGES,
  })
  const wideFile = `${name}.wide.${EXTENSION}`
  const wide = linkWide(kernels, first, total)
  return {
    entry: {
      file,
      kernels: first + kernels.length,
      threadBytes: Math.max(0, ...kernels.map((k) => k.threadBytes)),
      ...(wide && { wide: wideFile }),
    },
    files: new Map([[file, module], ...(wide ? [[wideFile, wide] as const] : [])]),
  }
}

/** The module that takes the place of some kernels in the table by their wide forms; undefined where none has one. */
function linkWide(kernels: readonly Known[], first: number, total: number): Uint8Array | undefined {
  const found = kernels.flatMap(({ wide }, i) => (wide ? [{ wide, at: first + i }] : []))
  if (found.length === 0) return undefined
  const code = found.map(({ wide }) => wide)
  return encodeModule({
    types: [KERNEL],
    functions: [...mathFunctions(FIRST_MATH, code), ...code],
    table: { isImported: true, size: total, rows: found.map(({ at }, i) => ({ first: at, functions: [MATH.length + i] })) },
    exports: [],
    maxPages: MOST_PAGES,
  })
}
