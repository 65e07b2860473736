import { bigLoads, extentOf, hasReduction, loadSites } from '../ir/analysis.ts'
import type { Axis } from '../ir/affine.ts'
import { pointCost } from '../ir/cost.ts'
import type { Equation } from '../ir/equation.ts'
import { type Reduction, walk } from '../ir/expression.ts'
import { coversItsTensor, inlineProducer } from '../ir/inline.ts'
import { onceByNode, onceByNodes } from '../ir/once-by-node.ts'
import { elementsPerSample, type Tensor } from '../ir/tensor.ts'
import { type FusionContext, isUnfused, isViewed, type KernelPass } from './kernel-pass.ts'
import { weigh } from './weigh.ts'
import { bindingCount, type KernelNode, type KernelProgram } from './program.ts'

/** Normalization, scale and a leaky rectifier are repeated in a convolution; whatever takes an exponential is stored. */
const MOST_PROLOGUE_COST = 9
const MOST_REPEATED_COST = 48

/**
 * A chain of a thousand point-wise layers is not one kernel: nested this deep, or with so many operations or layers, it is stored on the
 * way. Far more than nets have (13, 39 and 5 in the samples), and what every compiler of WGSL reads.
 */
const MOST_DEEP = 64
const MOST_OPERATIONS = 256
const MOST_LAYERS = 64

/**
 * Computes a value in the kernels that read it, instead of storing it. An element-wise value is computed again by each of its readers as
 * they load it (prologue); the result of a reduction flows into the one element-wise equation that reads it (epilogue).
 */
export const inlineElementwise: KernelPass = {
  name: 'inline-elementwise',
  run(program, context) {
    for (const node of program.all()) {
      const missed = tryInline(node, program, context)
      if (missed) program.remark(node, missed)
    }
  },
}

/** Removes the kernel if all its readers took its work; otherwise says why not (or nothing where the question does not arise). */
function tryInline(node: KernelNode, program: KernelProgram, context: FusionContext): string | undefined {
  const { equation } = node
  if (!coversItsTensor(equation) || equation.moments) return undefined
  const { tensor, value } = equation.stores[0]!
  if (context.kept.has(tensor)) return `${tensor.name} is kept in memory: it is a result of the program`
  const readers = program.readers(tensor).filter((other) => other !== node)
  if (isViewed(tensor, context)) return `${tensor.name} is read under another shape`
  if (readers.length === 0) return undefined
  if (program.writers(tensor).length > 1) return undefined
  if (isUnfused(equation, context) || readers.some((reader) => isUnfused(reader.equation, context)))
    return `${equation.name} or its reader is of style split`
  const heavy = hasReduction(value)
  const plain = readers.map((reader) => reader.equation)
  const verdict = verdictOn(equation, plain, heavy ? plain.map(() => true) : endsOf(plain, program, context), context)
  if (typeof verdict === 'string') return verdict
  const { joined, note } = verdict
  readers.forEach((reader, i) => {
    program.set(reader, joined[i]!)
    program.remark(
      reader,
      `${equation.name} is computed ${heavy ? 'here, its result never stored' : 'as it is loaded'}${note}`,
      ...node.why,
    )
  })
  program.remove(node)
  return undefined
}

/** The readers of an equation with its work in them, and what is to be remarked of it; or why it stays a kernel. */
type Verdict = string | { readonly joined: readonly Equation[]; readonly note: string }

/** A verdict, and the readers that it is of. */
interface Known {
  readonly readers: readonly Equation[]
  readonly isEnd: readonly boolean[]
  readonly verdict: Verdict
}

/** So many verdicts are remembered of an equation: programs of a net have the same equations, with the same readers or a few others. */
const MOST_KNOWN = 4

function verdictOn(e: Equation, readers: readonly Equation[], isEnd: readonly boolean[], context: FusionContext): Verdict {
  const known = knownBy(context)
  const ofEquation = known.get(e) ?? []
  const before = ofEquation.find((k) => isSameList(k.readers, readers) && isSameList(k.isEnd, isEnd))
  if (before) return before.verdict
  const verdict = judge(e, readers, isEnd, context)
  known.set(e, [{ readers, isEnd, verdict }, ...ofEquation.slice(0, MOST_KNOWN - 1)])
  return verdict
}

const isSameList = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((x, i) => x === b[i])

/** Verdicts by all that they depend on beside the equations. */
const knownBy = onceByNode((context: FusionContext) => {
  const { maxBindings, maxPrologueInputs, storesPrologues, estimates, packsPrologue = NONE, rejectJoined = NONE, price = NONE } = context
  return verdictsOf(`${maxBindings} ${maxPrologueInputs} ${storesPrologues} ${estimates}`, packsPrologue, rejectJoined, price)
})
const verdictsOf = onceByNodes((_, __: object, ___: object, ____: object) => new WeakMap<Equation, readonly Known[]>())
const NONE = {}

function judge(equation: Equation, readers: readonly Equation[], isEnd: readonly boolean[], context: FusionContext): Verdict {
  const { tensor, value } = equation.stores[0]!
  const heavy = hasReduction(value)
  const refusal = heavy ? refuseEpilogue(equation, tensor, readers) : refusePrologue(equation, tensor, readers, context)
  if (refusal) return refusal
  const repeating = heavy || isSpread(equation) ? undefined
    : readers.find((reader) => wantsStored(reader, () => inlineProducer(equation, reader), tensor, context))
  if (repeating) return `${repeating.name} is faster where ${tensor.name} is stored`
  const joined = readers.map((reader) => inlineProducer(equation, reader))
  const tooMany = joined.find((e) => bindingCount(e) > context.maxBindings)
  if (tooMany)
    return `${tooMany.name} would bind ${bindingCount(tooMany)} buffers, ${context.maxBindings} are granted everywhere`
  const slower = heavy ? context.rejectJoined?.(joined[0]!, equation) : undefined
  if (slower) return slower
  const tooLong = joined.find(isTooLong)
  if (tooLong) return `${tensor.name} is stored: ${tooLong.name} would be too long for one kernel`
  const { refusal: dearer, note } = heavy ? weigh(readers[0]!.name, joined, [equation], readers, context)
    : weigh(equation.name, joined.filter((_, i) => isEnd[i]), readers.filter((_, i) => isEnd[i]), [equation], context)
  return dearer ?? { joined, note }
}

function isTooLong(e: Equation): boolean {
  const { operations, depth } = extentOf(e)
  return e.layers.length > MOST_LAYERS || depth > MOST_DEEP || operations > MOST_OPERATIONS
}

function refuseEpilogue(equation: Equation, tensor: Tensor, readers: readonly Equation[]): string | undefined {
  if (readers.length > 1) return `${tensor.name} is read ${readers.length} times: by ${readers.map((r) => r.name).join(', ')}`
  const reader = readers[0]!
  if (loadSites(reader, tensor).some((site) => site.reduction)) return `${reader.name} reads ${tensor.name} in windows or sums`
  if (reader.stores.some((s) => hasReduction(s.value))) return `${reader.name} has a reduction of its own`
  if (!readsPointByPoint(reader, tensor, equation)) return `${reader.name} does not read ${tensor.name} element by element`
  return undefined
}

function refusePrologue(
  equation: Equation,
  tensor: Tensor,
  readers: readonly Equation[],
  { maxPrologueInputs }: FusionContext,
): string | undefined {
  const { value } = equation.stores[0]!
  const cost = pointCost(value)
  const loads = bigLoads(value).size
  if (loads > 1 && readers.length > 1 && loads * readers.length > 1 + loads + readers.length) {
    return `reading ${loads} tensors ${readers.length} times costs more than storing ${tensor.name}`
  }
  for (const reader of readers) {
    for (const site of loadSites(reader, tensor)) {
      if (!site.reduction) {
        if (readers.length > 1 && cost > MOST_REPEATED_COST) return `${equation.name} is too dear to compute ${readers.length} times`
        continue
      }
      if (site.contraction && (cost > MOST_PROLOGUE_COST || loads > maxPrologueInputs))
        return `${equation.name} is too dear to repeat in ${reader.name}`
      const repeats = repetitions(reader, tensor, site.reduction)
      if (!site.contraction && cost * repeats > MOST_REPEATED_COST)
        return `${equation.name} is too dear to repeat ${repeats.toFixed(1)} times an element in ${reader.name}`
    }
  }
  return undefined
}

/** Whether each element is one of a smaller tensor, repeated along axes: to store it only makes it larger, and keeps a product of matrices from being one. */
function isSpread({ stores }: Equation): boolean {
  const { tensor, value } = stores[0]!
  return value.kind === 'load' && elementsPerSample(value.tensor.shape) < elementsPerSample(tensor.shape) &&
    value.at.every(({ terms: [term, ...more], constant }) =>
      !term || (more.length === 0 && constant === 0 && term.coefficient === 1 && term.atom.kind === 'axis')
    )
}

/** Whether a reader is a contraction that would compute a value many times where caches make it cheap to store it. */
const wantsStored = (
  reader: Equation,
  joined: () => Equation,
  tensor: Tensor,
  { storesPrologues, packsPrologue }: FusionContext,
): boolean =>
  storesPrologues === true && loadSites(reader, tensor).some((site) => site.contraction) && packsPrologue?.(joined, reader) !== true

/** Whether each of some readers is none that another one of them will compute as it loads it: of y -> sigmoid -> mul(y, ...) the product alone. */
const endsOf = (readers: readonly Equation[], program: KernelProgram, { kept }: FusionContext): boolean[] =>
  readers.map(({ stores: [store, ...others] }) => {
    const next = program.readers(store!.tensor)
    return others.length > 0 || hasReduction(store!.value) || kept.has(store!.tensor) || next.length === 0 ||
      !next.every((reader) => readers.includes(reader.equation))
  })

/** Whether each point of the reader loads one element, and each element is loaded by one point. */
function readsPointByPoint(reader: Equation, tensor: Tensor, producer: Equation): boolean {
  if (pointsOf(reader) !== pointsOf(producer)) return false
  let fits = true
  for (const e of reader.stores.flatMap((s) => walk(s.value))) {
    if (e.kind === 'load' && e.tensor === tensor) {
      const axes = e.at.filter((at, i) => !(at.terms.length === 0 && tensor.shape[i] === 1)).map((at) => {
        const [term, ...more] = at.terms
        const isPlain = term && more.length === 0 && at.constant === 0 && term.coefficient === 1 && term.atom.kind === 'axis'
        return isPlain ? term.atom.axis : undefined
      })
      if (axes.some((a) => a === undefined) || new Set(axes).size !== axes.length) fits = false
    }
  }
  return fits
}

/** The extents of the points of an equation in ascending order, as a text: `16x16x8xn`. */
const pointsOf = (e: Equation): string =>
  e.axes.map((a) => (typeof a.extent === 'number' ? a.extent : 'n')).filter((extent) => extent !== 1).sort().join('x')

/** How often an element is loaded on average: 9 / 4 for a 3x3 window of stride 2. */
function repetitions(reader: Equation, tensor: Tensor, reduction: Reduction): number {
  const count = (axes: readonly Axis[]): number => axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const elements = elementsPerSample(tensor.shape)
  return (count(reader.axes) * count(reduction.axes)) / Math.max(1, elements)
}
