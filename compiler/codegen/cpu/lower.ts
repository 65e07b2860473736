import { READ_MARGIN } from '../../../bundle/wasm-abi.ts'
import { invariant } from '../../invariant.ts'
import { elementsPerSample, showShape, type Tensor } from '../../ir/tensor.ts'
import { reductions } from '../../ir/analysis.ts'
import { constant, walk } from '../../ir/expression.ts'
import { type Axis, axesOf, axis, type Extent, type Index, index, plus, substitute, times, linearIndex } from '../../ir/affine.ts'
import { type Equation, equation as newEquation, reads, store, writes } from '../../ir/equation.ts'
import { flattenAxes } from '../../ir/reshape.ts'
import { bindingsOf, type BufferOf } from '../bindings.ts'
import { type Loop, type LoopNest, pointStage, type Stage, type StageGroup, stagesOf } from './loop-nest.ts'
import { Point } from '../point.ts'
import { separatePairs } from './separate-pairs.ts'
import { ReductionEmitter } from '../reduction-emitter.ts'
import type { KernelFunction, PackBuffer, Statement, Operand } from '../kernel-function.ts'
import { KernelBuilder } from '../builder.ts'
import { range } from '../range.ts'
import * as operands from '../operands.ts'
import { int, truth } from '../operands.ts'
import * as statements from '../statements.ts'

/**
 * Lowers a loop nest to a kernel function that does one task: stage after stage, loop in loop. Where a register tile does not divide an
 * axis, the last tile is moved back and overlaps the one before (Halide: TailStrategy::ShiftInwards): some points are computed twice,
 * and no masks are needed. What updates in place is never computed twice: of its tail, vectors come first, and the rest goes
 * point by point.
 */
export function lowerLoopNest(equation: Equation, nest: LoopNest, bufferOf: BufferOf = () => undefined): KernelFunction {
  return new LoopNestLowering(equation, nest, bufferOf).run()
}

/** More than a thread does of one kernel. */
const MOST_TASKS = 2 ** 30

class LoopNestLowering {
  private readonly equation: Equation
  private readonly nest: LoopNest
  private readonly builder: KernelBuilder
  private readonly bindings: KernelFunction['bindings']
  private readonly packBuffers: readonly PackBuffer[]
  private readonly slots: ReadonlyMap<Tensor, number>
  private readonly written: ReadonlySet<Tensor>
  private readonly bufferOf: BufferOf
  /** Tiles whose pairs were separated. */
  private turns = 0

  constructor(equation: Equation, nest: LoopNest, bufferOf: BufferOf) {
    this.equation = equation
    this.nest = nest
    this.builder = new KernelBuilder(equation.name)
    this.bindings = bindingsOf(equation, bufferOf, (name) => this.builder.names.unique(name))
    let offset = 0
    this.packBuffers = nest.scratch.map((tensor) => {
      const here = { name: this.builder.names.unique(tensor.name.replace(/\W+/g, '_')), tensor, offset }
      // Vectors are read a little beyond the end; neighbours start on other cache lines.
      offset += Math.ceil((elementsPerSample(tensor.shape) + 16) / 16) * 16
      return here
    })
    this.slots = new Map([...this.bindings, ...this.packBuffers].map((b, i) => [b.tensor, i]))
    this.written = new Set([...writes(equation), ...nest.scratch])
    this.bufferOf = bufferOf
  }

  run(): KernelFunction {
    const { builder, nest, equation } = this
    builder.openScope()
    let point = Point.empty
    const grid: { name: string; extent: Extent }[] = []
    for (const a of nest.grid) {
      const variable = builder.loopVariable(a, 1, 0)
      grid.push({ name: builder.name(variable), extent: variable.extent })
      point = point.with(a, index(variable))
    }
    if (grid.length === 0) grid.push({ name: builder.names.unique('only'), extent: 1 })
    this.zero(nest.zeroed ?? [], point)
    if (nest.outerReduction) this.outerReduction(nest.outerReduction, point)
    else this.stages(nest.stages, [point])
    return {
      name: equation.name,
      layers: equation.layers,
      summary: summary(equation, nest, this.bindings),
      bindings: this.bindings,
      packBuffers: this.packBuffers,
      shared: undefined,
      grid,
      group: undefined,
      subgroups: undefined,
      body: builder.scopes[0]!.statements,
    }
  }

  /** Sets scratch memory to zero in a thread's first task. */
  private zero(scratch: readonly Tensor[], point: Point): void {
    if (scratch.length === 0) return
    this.builder.ifAll([this.isNew([], point)], () => {
      for (const tensor of scratch) {
        const axes = tensor.shape.map((extent) => axis('i', extent as number))
        const cleared = flattenAxes(newEquation('zero', [], axes, [store(tensor, axes, constant(0))]))
        this.stage(pointStage(cleared, []), [point])
      }
    })
  }

  private outerReduction({ axis: a, init, epilogue }: NonNullable<LoopNest['outerReduction']>, point: Point): void {
    this.stage(init, [point])
    this.builder.loop(a, 1, (at) => {
      const here = point.with(a, at)
      this.builder.ifAll(this.imageExists(here), () => this.stages(this.nest.stages, [here]))
    })
    if (epilogue) this.stage(epilogue, [point])
  }

  /** Conditions without which an iteration of the outer reduction adds nothing: chunks of the batch may be uneven. */
  private imageExists(point: Point): Operand[] {
    const found = new Map<string, Operand>()
    for (const { equation } of this.nest.stages.flatMap(stagesOf)) {
      const values = new ReductionEmitter(equation, { tile: new Map(), unroll: new Map() }, this.builder, this.slots)
      for (const s of equation.stores) {
        for (const node of walk(s.value)) {
          if (node.kind !== 'guard' || node.otherwise !== 0) continue
          for (const g of node.guards) {
            if (g.kind !== 'within' || g.extent !== 'n' || !axesOf(g.at).every((a) => point.has(a))) continue
            const condition = this.builder.within(values.at(g.at, point), 'n')
            found.set(this.builder.key(condition), condition)
          }
        }
      }
    }
    return [...found.values()]
  }

  private stages(stages: readonly (Stage | StageGroup)[], points: readonly Point[]): void {
    for (const stage of stages) this.stage(stage, points)
  }

  private stage(stage: Stage | StageGroup, points: readonly Point[]): void {
    const conditions = stage.invariantOver ? [this.isNew(stage.invariantOver, points[0]!)]
      : stage.perImage ? [this.isFirstOrOneOfMany()] : []
    this.builder.ifAll(conditions, () => {
      if ('each' in stage) {
        const exact = stagesOf(stage).some(({ equation }) => isInPlace(equation, this.bufferOf))
        this.loops(stage.each, exact, points, (inner) => this.stages(stage.stages, inner))
      } else this.write(stage, points)
    })
  }

  /** Whether this is a thread's first task, or the batch has several images. */
  private isFirstOrOneOfMany(): Operand {
    const { builder } = this
    const others = builder.op('iadd', [operands.batch('n'), int(-1)], 'i32')
    const first = builder.op('imul', [builder.op('imin', [others, int(1)], 'i32'), int(MOST_TASKS)], 'i32')
    return builder.op('within', [operands.tasksDone(), builder.op('iadd', [first, int(1)], 'i32')], 'bool')
  }

  /** Whether no task that this thread has just done had the same place along these axes of the grid. */
  private isNew(axes: readonly Axis[], point: Point): Operand {
    const { builder } = this
    const { grid } = this.nest
    const done = operands.tasksDone()
    const isPrefix = axes.length > 0 && axes.every((a, i) => a === grid[i])
    if (isPrefix) {
      // Tasks count the other axes fastest.
      const others = grid.slice(axes.length).map((a) => builder.indexOperand(point.get(a)!))
      if (others.length === 0) return truth(true)
      const sum = others.reduce((a, b) => builder.op('iadd', [a, b], 'i32'))
      return builder.op('ieq', [builder.op('imin', [done, sum], 'i32'), int(0)], 'bool')
    }
    invariant(
      axes.every((a, i) => a === grid[grid.length - axes.length + i]),
      () => `${this.equation.name}: ${axes.map((a) => a.name).join()} are not the last axes of the grid`,
    )
    const count = axes.reduce((p, a) => p * (a.extent as number), 1)
    return builder.op('within', [done, int(count)], 'bool')
  }

  private write(stage: Stage, outer: readonly Point[]): void {
    const { equation, vectorReduction, unroll } = stage
    // What reads its own result would take points that are computed twice for new ones.
    const exact = isInPlace(equation, this.bufferOf)
    const values = new ReductionEmitter(
      equation,
      { tile: new Map(), unroll, ...(vectorReduction && { across: vectorReduction }) },
      this.builder,
      this.slots,
      {
        margin: READ_MARGIN,
        asWritten: true,
        written: { tensors: this.written, depth: this.builder.scopes.length - 1 },
      },
    )
    const roots = equation.stores.map((s) => s.value)
    const hoist = (points: readonly Point[]): void => values.hoistReductions(roots, points)
    const inside = (points: readonly Point[]): void => {
      if (stage.pairMemory) this.separatePairs(stage, values, points)
      this.store(equation, values, points)
    }
    this.loops(stage.loops, exact, outer, inside, hoist)
  }

  /** Has the sums of a tile go through memory, so that what follows need not be of pairs. */
  private separatePairs({ equation, loops, pairMemory }: Stage, values: ReductionEmitter, points: readonly Point[]): void {
    for (const e of new Set(equation.stores.flatMap((s) => reductions(s.value)))) {
      const sums = points.map((point) => values.found(e, point)).filter((sum) => sum !== undefined)
      if (sums.length === points.length) separatePairs(this.builder, this.slots.get(pairMemory!)!, sums, loops, this.turns++)
    }
  }

  /** Emits loops, outermost first; `open` is called with the points of a tile in front of each of them, and in the innermost. */
  private loops(
    loops: readonly Loop[],
    exact: boolean,
    points: readonly Point[],
    inside: (points: readonly Point[]) => void,
    open?: (points: readonly Point[]) => void,
  ): void {
    open?.(points)
    const [next, ...inner] = loops
    if (!next) return inside(points)
    this.tiles(next, exact, points[0]!, (tile) => this.loops(inner, exact, points.flatMap(tile), inside, open))
  }

  /** Emits the loop over the tiles of an axis; `inside` gets what makes a point the points of a tile. */
  private tiles(
    { axis: a, tile, vectorized = false }: Loop,
    exact: boolean,
    bound: Point,
    inside: (points: (point: Point) => Point[]) => void,
  ): void {
    const { builder } = this
    if (a === this.nest.images?.axis) return this.imageTiles(a, exact ? 1 : tile, bound, inside)
    const width = vectorized ? 4 : 1
    if (a === this.nest.images?.lanes) return this.imageLanes(a, tile * width, width, bound, inside)
    if (typeof a.extent !== 'number') {
      invariant(tile === 1 && !vectorized, () => `${a.name} cannot be tiled`)
      return builder.loop(a, 1, (at) => inside((p) => [p.with(a, at)]))
    }
    const { extent } = a
    const size = tile * width
    const at = (
      p: Point,
      start: ReturnType<typeof index>,
      offset: number,
    ): Point => (vectorized ? p.withLanes(a, plus(start, offset)) : p.with(a, plus(start, offset)))
    if (exact && extent % size !== 0) {
      // Whole tiles, then the vectors that are left, then one by one.
      const whole = Math.floor(extent / size)
      const vectors = vectorized ? Math.floor((extent - whole * size) / width) : 0
      const done = whole * size + vectors * width
      if (whole > 0) builder.countedLoop(a, whole, (i) => inside((p) => range(tile).map((j) => at(p, times(i, size), j * width))))
      if (vectors > 0) inside((p) => range(vectors).map((j) => at(p, index(whole * size), j * width)))
      if (done < extent) inside((p) => range(extent - done).map((j) => p.with(a, index(done + j))))
      return
    }
    if (extent < size) {
      const starts = [...new Set(range(tile).map((j) => Math.min(j * width, Math.max(0, extent - width))))]
      return inside((p) => starts.map((start) => at(p, index(0), start)))
    }
    if (extent % size === 0) {
      return builder.countedLoop(a, extent / size, (i) => inside((p) => range(tile).map((j) => at(p, times(i, size), j * width))))
    }
    builder.countedLoop(a, Math.ceil(extent / size), (i) => {
      const last = extent - size
      const start = builder.computedVariable(
        `${a.name}_start`,
        last + 1,
        builder.op('imin', [builder.indexOperand(times(i, size)), int(last)], 'i32'),
      )
      inside((p) => range(tile).map((j) => at(p, index(start), j * width)))
    })
  }

  /** Tiles of a task's images: none begins behind the batch, and in the last one the last image takes the place of those that are missing. */
  private imageTiles(a: Axis, tile: number, bound: Point, inside: (points: (point: Point) => Point[]) => void): void {
    const { builder } = this
    const count = a.extent as number
    const first = this.firstImage(bound)
    builder.countedLoop(a, Math.ceil(count / tile), (i) => {
      const start = times(i, tile)
      builder.ifAll([builder.within(plus(first, start), 'n')], () => {
        const last = builder.op('iadd', [
          operands.batch('n'),
          builder.op('imul', [builder.indexOperand(plus(first, 1)), int(-1)], 'i32'),
        ], 'i32')
        const images = range(tile).map((j) =>
          j === 0 ? start : index(builder.computedVariable(
            `${a.name}_${j}`,
            count,
            builder.op('imin', [builder.indexOperand(plus(start, j)), last], 'i32'),
          ))
        )
        inside((p) => images.map((image) => p.with(a, image)))
      })
    })
  }

  /** Images of a task in vectors, or `size` of them one by one (`width` 1): none begins behind the batch. */
  private imageLanes(a: Axis, size: number, width: number, bound: Point, inside: (points: (point: Point) => Point[]) => void): void {
    const { builder } = this
    builder.countedLoop(a, (a.extent as number) / size, (i) => {
      const start = times(i, size)
      builder.ifAll(
        [builder.within(plus(this.firstImage(bound), start), 'n')],
        () =>
          inside((p) =>
            width === 1 ? range(size).map((j) => p.with(a, plus(start, j))) : range(size / 4).map((j) => p.withLanes(a, plus(start, 4 * j)))
          ),
      )
    })
  }

  /** The first image of a task. */
  private firstImage(bound: Point): Index {
    const { first } = this.nest.images!
    return substitute(first, new Map(axesOf(first).map((x) => [x, bound.get(x)!])))
  }

  /** Emits the stores of a tile. */
  private store({ name, stores }: Equation, values: ReductionEmitter, points: readonly Point[]): void {
    const counted = stores.filter((s) => s.counts).map((s) => ({
      binding: this.slots.get(s.tensor)!,
      values: points.map((point) => values.counted(s.value, point)),
    }))
    const found: Stored[] = stores.filter((s) => !s.counts).flatMap((s) => {
      const linear = linearIndex(s.tensor, s.at)
      // By the terms of the index, then by its constant.
      const entries: Stored[] = []
      const places = new Map<string, Map<number, number>>()
      for (const given of points) {
        const lanes = values.lanesOfIndex(linear, given)
        invariant(lanes, () => `${name}: ${s.tensor.name} is stored at uneven distances`)
        const point = lanes.step === 0 ? given.lane(0) : given
        const inFours = point.lanes !== undefined
        const terms = inFours ? `${lanes.first.termsKey}*` : lanes.first.termsKey
        let ofTerms = places.get(terms)
        if (!ofTerms) places.set(terms, ofTerms = new Map())
        const place = ofTerms.get(lanes.first.constant) ?? entries.length
        ofTerms.set(lanes.first.constant, place)
        entries[place] = {
          binding: this.slots.get(s.tensor)!,
          index: lanes.first,
          step: inFours ? lanes.step : 0,
          value: values.value(s.value, point),
        }
      }
      return entries
    })
    const target: Statement[] = this.builder.innermost.statements
    const done = new Set<Stored>()
    for (const entry of this.nest.inPairs ? inPairs(found) : found) {
      if (done.has(entry)) continue
      const at = this.builder.indexOperand(entry.index)
      const interleaved = entry.step === 2 || entry.step >= 4 ? neighbours(entry, found) : undefined
      if (interleaved) {
        for (const other of interleaved) done.add(other)
        target.push(statements.storeInterleaved(entry.binding, at, interleaved.map((w) => w.value), entry.step))
      } else if (entry.step > 0) target.push(statements.store(entry.binding, at, entry.value, 4, entry.step))
      else target.push(statements.store(entry.binding, at, entry.value))
    }
    for (const { binding, values } of counted) target.push(statements.count(binding, values))
  }
}

interface Stored {
  readonly binding: number
  readonly index: Index
  /** 0: one value. */
  readonly step: number
  readonly value: Operand
}

/** Stores of vectors, each followed by the one that lies behind it in memory. */
function inPairs(found: readonly Stored[]): readonly Stored[] {
  const key = ({ binding, index: at }: Stored, further = 0): string => `${binding} ${at.termsKey} ${at.constant + further}`
  const places = new Map(found.filter((s) => s.step === 1).map((s) => [key(s), s]))
  const taken = new Set<Stored>()
  return found.flatMap((first) => {
    if (taken.has(first)) return []
    const second = first.step === 1 ? places.get(key(first, 4)) : undefined
    const own = second && !taken.has(second) ? [first, second] : [first]
    for (const s of own) taken.add(s)
    return own
  })
}

/** Stores beside one whose lanes lie apart, in order: two that fill its gaps, or four. */
function neighbours(first: Stored, all: readonly Stored[]): Stored[] | undefined {
  const found = range(Math.min(4, first.step)).map((i) =>
    all.find((other) =>
      other.binding === first.binding && other.step === first.step && other.index.termsKey === first.index.termsKey &&
      other.index.constant === first.index.constant + i
    )
  )
  return found.every((s) => s !== undefined) ? found as Stored[] : undefined
}

function isInPlace(e: Equation, bufferOf: BufferOf): boolean {
  const written = new Set<Tensor>(writes(e))
  const buffers = new Set([...written].map(bufferOf))
  return reads(e).some((t) => written.has(t) || (bufferOf(t) !== undefined && buffers.has(bufferOf(t))))
}

/** The head of a kernel's text. */
function summary(e: Equation, nest: LoopNest, bindings: KernelFunction['bindings']): string[] {
  const shapes = (of: readonly { name: string; tensor: Tensor }[]): string =>
    of.map((b) => `${b.name} ${showShape(b.tensor.shape)}`).join(', ')
  return [
    `${e.name}: ${e.stores.map((s) => `${s.tensor.name} ${showShape(s.tensor.shape)}`).join(', ')}`,
    `reads ${shapes(bindings.filter((b) => b.access === 'read')) || 'nothing'}`,
    ...(e.sides.length > 0 ? [`${e.sides.map((s) => `${s.kind} of ${s.source.name}`).join(', ')} on the way`] : []),
    nest.summary,
  ]
}
