import { elementsPerSample, isBatched, type Tensor, tensor } from '../ir/tensor.ts'
import { canonicalText } from '../ir/fingerprint.ts'
import { bigLoads, hasReduction, loadSites, pointCost, timesLoaded } from '../ir/cost.ts'
import { depthOfEquation, operationsOf } from '../ir/expression-size.ts'
import { type Expression, walk } from '../ir/expression.ts'
import { type Axis, type Index, isAxis, substitute } from '../ir/affine.ts'
import { type FusionItem, FusionItems } from './program.ts'
import { coversItsTensor, inlineProducer, joinedName } from '../ir/inline.ts'
import { joinPoints } from './fuse-updates.ts'
import { blocksAround, type Equation, reads, type SideReduction, writes } from '../ir/equation.ts'
import { sideMoments } from '../ir/moments.ts'
import { rewriteTotals } from '../ir/side-sums.ts'

/** An equation on its way to a kernel, with what was joined to it and why other things were not. */
export interface Fused {
  readonly equation: Equation
  readonly why: readonly string[]
}

/** How many points along an axis one part of a kernel's work takes in. */
export type Blocks = (a: Axis) => number

export interface FusionRequest {
  readonly equations: readonly Equation[]
  /** Tensors that must exist in memory after the program: outputs, gradients, prepared values, updated parameters. */
  readonly kept: ReadonlySet<Tensor>
  /** A tensor that is another one's storage under another shape. */
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
  /** What a kernel may bind: 8 storage buffers are granted by every WebGPU. */
  readonly maxBindings: number
  /** Maps that may be loaded in the place of one by what is computed as a convolution loads it. */
  readonly prologueLoads: number
  /** What one part of a kernel's work is, of which it can gather statistics; or why it gathers none. */
  readonly blocksOf: (e: Equation) => Blocks | string
  /** Why a kernel cannot make on load what it would: see `OnLoad`. Absent: none may. */
  readonly refuseOnLoad?: (e: Equation) => string | undefined
  /** Layers that stay passes of their own in a net that is merged otherwise. */
  readonly apart?: ReadonlySet<string>
}

/**
 * Joins equations where that saves passes over memory, by rules applied in the order of the program:
 * a point-wise value is computed again by each of its readers instead of being stored (prologue); a reduction's result
 * flows straight into the one point-wise equation that reads it (epilogue); batch statistics are gathered by the kernel
 * that stores what they are taken of, and so are the sums of a normalization's gradient (side reduction); a point-wise value that
 * must be stored, since others read it later, is computed and stored by a convolution as it is loaded. Besides, positions of maxima
 * come out of the loop that finds the maxima, and running statistics of the kernel that merges a batch's. A rule that declines says why.
 */
export function fuse(request: FusionRequest): Fused[] {
  const state = new Fusion(request)
  state.inlineAll()
  state.shareMaxima()
  state.moveStatistics()
  state.moveSums()
  state.joinPoints()
  state.storeInPlace()
  state.storeOnLoad()
  return state.result()
}

/** Normalization, scale and a leaky rectifier are repeated in a convolution; whatever takes an exponential is stored. */
const MOST_PROLOGUE_COST = 9
const MOST_REPEATED_COST = 48
/** What overlapping windows compute again, and store once. */
const MOST_COST_ON_LOAD = 24

/**
 * A chain of a thousand point-wise layers is not one kernel: nested this deep, or with so many operations or layers, it is stored on the
 * way. Far more than nets have (13, 39 and 5 in the samples), and what every compiler of WGSL reads.
 */
const MOST_DEEP = 64
const MOST_OPERATIONS = 256
const MOST_LAYERS = 64

const isTooLong = (e: Equation): boolean =>
  e.layers.length > MOST_LAYERS || depthOfEquation(e) > MOST_DEEP || operationsOf(e) > MOST_OPERATIONS

class Fusion {
  private readonly request: FusionRequest
  private readonly items: FusionItems
  private readonly viewed: ReadonlySet<Tensor>

  constructor(request: FusionRequest) {
    this.request = request
    this.viewed = new Set(request.viewOf.values())
    this.items = new FusionItems(request.equations)
  }

  result(): Fused[] {
    return [...this.items.all()].map(({ equation, why }) => ({ equation, why }))
  }

  inlineAll(): void {
    for (const item of this.items.all()) {
      const decline = this.tryInline(item)
      if (decline) item.why.push(decline)
    }
  }

  /** Removes the item if all its readers took it; otherwise says why not (or nothing where the question does not arise). */
  private tryInline(item: FusionItem): string | undefined {
    const { equation } = item
    if (!coversItsTensor(equation) || equation.moments) return undefined
    const tensor = equation.stores[0]!.tensor
    if (this.request.kept.has(tensor)) return `${tensor.name} is kept in memory: it is a result of the program`
    const readers = this.items.readers(tensor).filter((other) => other !== item)
    if (this.viewed.has(tensor) || this.request.viewOf.has(tensor)) return `${tensor.name} is read under another shape`
    if (readers.length === 0) return undefined
    if (this.items.writers(tensor).length > 1) return undefined
    if ([equation, ...readers.map((r) => r.equation)].some((e) => this.isApart(e)))
      return `${equation.name} or its reader is of style split`
    const heavy = hasReduction(equation.stores[0]!.value)
    const refusal = heavy ? this.refuseEpilogue(equation, tensor, readers) : this.refusePrologue(equation, tensor, readers)
    if (refusal) return refusal
    const joined = readers.map((reader) => inlineProducer(equation, reader.equation))
    const tooMany = joined.find((e) => reads(e).length + writes(e).length > this.request.maxBindings)
    if (tooMany)
      return `${tooMany.name} would bind ${
        reads(tooMany).length + writes(tooMany).length
      } buffers, ${this.request.maxBindings} are granted everywhere`
    const tooLong = joined.find(isTooLong)
    if (tooLong) return `${tensor.name} is stored: ${tooLong.name} would be too long for one kernel`
    readers.forEach((reader, i) => {
      this.items.set(reader, joined[i]!)
      reader.why.push(`${equation.name} is computed ${heavy ? 'here, its result never stored' : 'as it is loaded'}`)
      reader.why.push(...item.why)
    })
    this.items.remove(item)
    return undefined
  }

  private isApart(e: Equation): boolean {
    return e.layers.some((layer) => this.request.apart?.has(layer))
  }

  private refuseEpilogue(equation: Equation, tensor: Tensor, readers: readonly { equation: Equation }[]): string | undefined {
    if (readers.length > 1) return `${tensor.name} is read ${readers.length} times: by ${readers.map((r) => r.equation.name).join(', ')}`
    const reader = readers[0]!.equation
    if (loadSites(reader, tensor).some((site) => site.reduction)) return `${reader.name} reads ${tensor.name} in windows or sums`
    if (reader.stores.some((s) => hasReduction(s.value))) return `${reader.name} has a reduction of its own`
    if (!readsPointByPoint(reader, tensor, equation)) return `${reader.name} does not read ${tensor.name} element by element`
    return undefined
  }

  private refusePrologue(equation: Equation, tensor: Tensor, readers: readonly { equation: Equation }[]): string | undefined {
    const { value } = equation.stores[0]!
    const cost = pointCost(value)
    const loads = bigLoads(value).size
    if (loads > 1 && readers.length > 1 && loads * readers.length > 1 + loads + readers.length) {
      return `reading ${loads} tensors ${readers.length} times costs more than storing ${tensor.name}`
    }
    for (const { equation: reader } of readers) {
      for (const site of loadSites(reader, tensor)) {
        if (!site.reduction) {
          if (readers.length > 1 && cost > MOST_REPEATED_COST) return `${equation.name} is too dear to compute ${readers.length} times`
          continue
        }
        if (site.contraction && (cost > MOST_PROLOGUE_COST || loads > this.request.prologueLoads))
          return `${equation.name} is too dear to repeat in ${reader.name}`
        const repeats = repetitions(reader, tensor, site.reduction)
        if (!site.contraction && cost * repeats > MOST_REPEATED_COST)
          return `${equation.name} is too dear to repeat ${repeats.toFixed(1)} times an element in ${reader.name}`
      }
    }
    return undefined
  }

  /** Where one equation wants the largest of each window and another its position, one kernel finds both. */
  shareMaxima(): void {
    const finders = new Map<string, FusionItem[]>()
    for (const item of this.items.all()) {
      for (const text of new Set(maximaOf(item.equation).map((m) => reductionText(item.equation, m))))
        finders.set(text, [...(finders.get(text) ?? []), item])
    }
    for (const item of this.items.all()) {
      const [wanted, ...others] = item.equation.stores
      if (!wanted || others.length > 0 || wanted.value.kind !== 'reduce' || wanted.value.combine !== 'argmax') continue
      const position = wanted.value
      const text = reductionText(item.equation, position)
      const partner = finders.get(text)?.find((other) => other !== item && this.items.has(other))
      if (!partner || partner.order > item.order) continue
      const maximum = maximaOf(partner.equation).find((m) => reductionText(partner.equation, m) === text)!
      const axes = new Map(item.equation.axes.map((a, i) => [a, partner.equation.axes[i]!]))
      const stored = {
        tensor: wanted.tensor,
        at: wanted.at.map((at) => substitute(at, axes)),
        value: { ...maximum, combine: 'argmax' as const },
      }
      const joined: Equation = { ...partner.equation, stores: [...partner.equation.stores, stored] }
      if (reads(joined).length + writes(joined).length > this.request.maxBindings) {
        item.why.push(`${partner.equation.name} would bind too many buffers if it kept the positions of its maxima`)
        continue
      }
      this.items.set(partner, joined)
      partner.why.push(`keeps the positions of its maxima for ${item.equation.layers.join(', ')}'s gradient`)
      this.items.remove(item)
    }
  }

  /** The first half of a statistics computation moves into the kernel that stores what it reads. */
  moveStatistics(): void {
    for (const item of this.items.all()) {
      const { moments } = item.equation
      if (moments?.stage !== 'partial') continue
      const decline = this.tryMove(item)
      if (decline) item.why.push(decline)
    }
  }

  private tryMove(item: FusionItem): string | undefined {
    const { source, result, affine, eps } = item.equation.moments!
    if (this.isApart(item.equation)) return `${item.equation.name} is of style split`
    const producer = this.carrierOf(source)
    if (typeof producer === 'string') return producer
    const { equation } = producer
    const blocksOf = this.request.blocksOf(equation)
    if (typeof blocksOf === 'string') return blocksOf
    const { layers } = item.equation
    const { side, merge } = sideMoments(
      { name: item.equation.name, layers, source, result, ...(affine && { affine }), eps },
      equation.axes,
      equation.axes[1]!,
      blocksOf,
    )
    const decline = this.carry(producer, side, layers, [source])
    if (decline) return decline
    producer.why.push(`gathers the statistics of ${layers.join(', ')} as it stores`)
    for (const other of this.items.parts(result)) if (other !== item) this.items.remove(other)
    this.items.replace(item, merge.map((e) => ({ equation: e, why: ['merges the statistics of all tiles'] })))
    return undefined
  }

  /**
   * What is only copied to a part of another tensor is stored there at once. Reductions go there as they are (see
   * `refuseEpilogue`), but for one whose statistics are taken too: these are moved first.
   */
  storeInPlace(): void {
    for (const item of this.items.all()) {
      const [copy, ...others] = item.equation.stores
      if (!copy || others.length > 0 || copy.value.kind !== 'load' || item.equation.sides.length > 0) continue
      const { tensor: source, at } = copy.value
      const { axes } = item.equation
      const plain = source.shape.length === axes.length && at.every((index, d) => isAxis(index, axes[d]!)) &&
        axes.every((a, d) => a.extent === source.shape[d])
      if (
        !plain || this.request.kept.has(source) || this.viewed.has(source) || this.request.viewOf.has(source) || this.isApart(item.equation)
      ) continue
      if (this.items.readers(source).some((other) => other !== item)) continue
      const producer = this.carrierOf(source)
      const from = partStart(copy.at, axes)
      if (typeof producer === 'string' || from === undefined || this.isApart(producer.equation)) continue
      const { equation } = producer
      if (equation.sides.some((side) => side.source !== source || side.kind !== 'moments') || reads(equation).includes(copy.tensor))
        continue
      const map = new Map(axes.map((a, d) => [a, equation.axes[d]!] as const))
      this.items.set(producer, {
        ...equation,
        layers: [...new Set([...equation.layers, ...item.equation.layers])],
        stores: equation.stores.map((
          s,
        ) => (s.tensor === source ? { ...s, tensor: copy.tensor, at: copy.at.map((index) => substitute(index, map)) } : s)),
        sides: equation.sides.map((side) => ({ ...side, source: copy.tensor, from })),
      })
      producer.why.push(`stores at once where ${item.equation.name} would have copied it`)
      this.items.remove(item)
    }
  }

  /** What is made of each point of a small result alone is made where that is: running statistics by what merges a batch's. */
  joinPoints(): void {
    for (const item of this.items.all()) {
      const { equation } = item
      if (this.isApart(equation) || equation.moments || equation.sums || equation.axes.some((a) => typeof a.extent !== 'number')) continue
      for (const producer of new Set(reads(equation).flatMap((t) => this.items.writers(t).filter((other) => other.order < item.order)))) {
        if (this.isApart(producer.equation)) continue
        const isBetween = (other: FusionItem): boolean => producer.order < other.order && other.order < item.order
        const meets = reads(equation).some((t) => this.items.writers(t).some(isBetween)) ||
          writes(equation).some((t) => [...this.items.readers(t), ...this.items.writers(t)].some(isBetween))
        const joined = meets ? undefined : joinPoints(producer.equation, equation)
        if (!joined || new Set([...reads(joined), ...writes(joined)]).size > this.request.maxBindings) continue
        this.items.set(producer, joined)
        producer.why.push(`${equation.name} is made here too`, ...item.why)
        this.items.remove(item)
        break
      }
    }
  }

  /** What is stored by a pass of its own, since several read it, the first of them stores: a convolution, as it loads it. */
  storeOnLoad(): void {
    const { refuseOnLoad } = this.request
    if (!refuseOnLoad) return
    for (const item of this.items.all()) {
      const decline = this.tryOnLoad(item, refuseOnLoad)
      if (decline) item.why.push(decline)
    }
  }

  private tryOnLoad(item: FusionItem, refuse: (e: Equation) => string | undefined): string | undefined {
    const { equation } = item
    if (!coversItsTensor(equation) || equation.sides.length > 0 || equation.moments || equation.sums || equation.onLoad) return undefined
    const store = equation.stores[0]!
    const { tensor } = store
    if (
      tensor.shape.length < 3 || hasReduction(store.value) || this.isApart(equation) || this.viewed.has(tensor) ||
      this.request.viewOf.has(tensor)
    ) return undefined
    const reader = this.items.readers(tensor).find((other) => other !== item)
    const sites = reader ? loadSites(reader.equation, tensor) : []
    if (!reader || timesLoaded(reader.equation, tensor) !== 1 || !sites[0]!.contraction || this.isApart(reader.equation)) return undefined
    if (reader.order < item.order || reader.equation.onLoad || this.items.writers(tensor).length > 1) return undefined
    const changed = this.changedBetween(reads(equation), item, reader)
    if (changed) return `${changed.name} changes before ${reader.equation.name} loads ${tensor.name}`
    if (bigLoads(store.value).size > this.request.prologueLoads || pointCost(store.value) > MOST_COST_ON_LOAD)
      return `${equation.name} is too dear to compute as ${reader.equation.name} loads it`
    const joined: Equation = {
      ...reader.equation,
      name: joinedName(equation.name, reader.equation.name),
      layers: [...new Set([...equation.layers, ...reader.equation.layers])],
      onLoad: { axes: equation.axes, store },
    }
    const bound = reads(joined).length + writes(joined).length
    if (bound > this.request.maxBindings)
      return `${joined.name} would bind ${bound} buffers, ${this.request.maxBindings} are granted everywhere`
    const refusal = refuse(joined)
    if (refusal) return refusal
    this.items.set(reader, joined)
    reader.why.push(`${equation.name} is computed and stored as it is loaded`, ...item.why)
    this.items.remove(item)
    return undefined
  }

  /** The first of some tensors that is written behind an item and not behind the other. */
  private changedBetween(tensors: readonly Tensor[], item: FusionItem, to: FusionItem): Tensor | undefined {
    const writers = tensors.flatMap((t) => this.items.writers(t).filter((other) => item.order < other.order && other.order <= to.order))
    const [first] = writers.sort((a, b) => a.order - b.order)
    return first && writes(first.equation).find((t) => tensors.includes(t))
  }

  /** Sums over the batch move into the kernel that stores, last of all, something that they are taken of. */
  moveSums(): void {
    for (const item of this.items.all()) {
      if (item.equation.sums?.stage !== 'partial') continue
      const decline = this.tryMoveSums(item)
      if (decline) item.why.push(decline)
    }
  }

  private tryMoveSums(item: FusionItem): string | undefined {
    const { name, layers } = item.equation
    const { at, terms, into } = item.equation.sums!
    if (this.isApart(item.equation)) return `${name} is of style split`
    const isHere = (e: Extract<Expression, { kind: 'load' }>): boolean =>
      e.at.length === at.length && e.at.every((index, d) => isAxis(index, at[d]!))
    const loads = terms.flatMap((term) => walk(term)).filter((e) => e.kind === 'load')
    const made = [...new Set(loads.map((e) => e.tensor))].map((t) => ({ tensor: t, at: this.items.writers(t)[0]?.order ?? -1 }))
    const maps = made.filter((m) => m.at >= 0 && m.tensor.shape.length === at.length && isBatched(m.tensor.shape))
    if (maps.length === 0) return `${name} sums up nothing that a kernel stores`
    const last = maps.reduce((latest, m) => (m.at > latest.at ? m : latest))
    const later = made.find((m) => m.at > last.at)
    if (later) return `${name} needs ${later.tensor.name}, which is made after ${last.tensor.name}`
    const source = last.tensor
    if (!loads.filter((e) => e.tensor === source).every(isHere)) return `${name} does not read ${source.name} point by point`
    const producer = this.carrierOf(source)
    if (typeof producer === 'string') return producer
    const { equation } = producer
    const blocksOf = this.request.blocksOf(equation)
    if (typeof blocksOf === 'string') return blocksOf
    const kept = equation.axes[1]!
    const { blocks, counts } = blocksAround(kept, equation.axes, blocksOf)
    const side: SideReduction = {
      kind: 'sums',
      source,
      kept,
      blocks,
      at,
      terms,
      into: tensor(into.name, [...counts, kept.extent as number, terms.length]),
    }
    const decline = this.carry(producer, side, layers, reads(item.equation))
    if (decline) return decline
    producer.why.push(`gathers the sums of ${layers.join(', ')} as it stores`)
    for (const other of this.items.parts(into)) this.items.remove(other)
    for (const other of this.items.readers(into)) this.items.set(other, rewriteTotals(other.equation, into, side))
    return undefined
  }

  /** The one kernel that stores a map channel by channel. */
  private carrierOf(source: Tensor): FusionItem | string {
    const [producer, ...others] = this.items.writers(source)
    if (!producer || others.length > 0) return `${source.name} is not made by one kernel`
    const { equation } = producer
    const stored = equation.stores.find((s) => s.tensor === source)!
    const inOrder = equation.axes.length === source.shape.length &&
      stored.at.every((index, d) => isAxis(index, equation.axes[d]!) && equation.axes[d]!.extent === source.shape[d])
    if (equation.axes.length < 3 || !inOrder) return `${equation.name} does not store ${source.name} channel by channel`
    if (equation.axes[0]!.extent !== 'n') return `${source.name} has no batch of images`
    return producer
  }

  /** Has a kernel gather a side reduction, if it can, and if that moves fewer bytes than reading `instead` would. */
  private carry(producer: FusionItem, side: SideReduction, layers: readonly string[], instead: readonly Tensor[]): string | undefined {
    const carrying = withSide(producer.equation, side, layers)
    const already = new Set([...reads(producer.equation), ...writes(producer.equation)])
    const more = reads(carrying).filter((t) => !already.has(t))
    const bytes = (tensors: readonly Tensor[]): number =>
      tensors.reduce((sum, t) => sum + (isBatched(t.shape) ? elementsPerSample(t.shape) : 0), 0)
    if (bytes(more) + 2 * bytes([side.into]) >= bytes(instead))
      return `${producer.equation.name} works in parts too small to gather the ${side.kind} of ${layers.join(', ')}`
    const bound = reads(carrying).length + writes(carrying).length
    if (bound > this.request.maxBindings)
      return `${carrying.name} would bind ${bound} buffers with the ${side.kind} of ${
        layers.join(', ')
      }, ${this.request.maxBindings} are granted everywhere`
    this.items.set(producer, carrying)
    return undefined
  }
}

type Reduction = Extract<Expression, { kind: 'reduce' }>

const maximaOf = (e: Equation): Reduction[] =>
  e.stores.flatMap((s) => walk(s.value)).filter((node): node is Reduction => node.kind === 'reduce' && node.combine === 'max')

/** What a maximum or its position is taken of, as a text that does not depend on names. */
const reductionText = (e: Equation, of: Reduction): string =>
  canonicalText({ ...e, name: '', sides: [], stores: [{ tensor: NOWHERE, at: [], value: { ...of, combine: 'max' } }] }).text

const NOWHERE = tensor('', [])

const withSide = (e: Equation, side: SideReduction, layers: readonly string[]): Equation => ({
  ...e,
  sides: [...e.sides, side],
  layers: [...new Set([...e.layers, ...layers])],
})

/** Whether each point of the reader loads one element, and each element is loaded by one point. */
function readsPointByPoint(reader: Equation, tensor: Tensor, producer: Equation): boolean {
  if (points(reader) !== points(producer)) return false
  let fits = true
  for (const e of reader.stores.flatMap((s) => walk(s.value))) {
    if (e.kind === 'load' && e.tensor === tensor) {
      const axes = e.at.filter((at, i) => !(at.terms.length === 0 && tensor.shape[i] === 1)).map((at) => {
        const [term, ...more] = at.terms
        return term && more.length === 0 && at.constant === 0 && term.coefficient === 1 && term.atom.kind === 'axis' ? term.atom.axis
          : undefined
      })
      if (axes.some((a) => a === undefined) || new Set(axes).size !== axes.length) fits = false
    }
  }
  return fits
}

/** The channel that a copy starts at, where all other dimensions stay as they are. */
function partStart(at: readonly Index[], axes: readonly Axis[]): number | undefined {
  const channel = at[1]
  if (!channel || at.length !== axes.length || !at.every((index, d) => d === 1 || isAxis(index, axes[d]!))) return undefined
  const [term, ...more] = channel.terms
  const shifted = term && more.length === 0 && term.coefficient === 1 && term.atom.kind === 'axis' && term.atom.axis === axes[1]
  return shifted ? channel.constant : undefined
}

const points = (e: Equation): string =>
  e.axes.map((a) => (typeof a.extent === 'number' ? a.extent : 'n')).filter((extent) => extent !== 1).sort().join('x')

/** How often an element is loaded on average: 9 / 4 for a 3x3 window of stride 2. */
function repetitions(reader: Equation, tensor: Tensor, reduction: Extract<Expression, { kind: 'reduce' }>): number {
  const count = (axes: readonly { extent: unknown }[]): number =>
    axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const elements = elementsPerSample(tensor.shape)
  return (count(reader.axes) * count(reduction.axes)) / Math.max(1, elements)
}
