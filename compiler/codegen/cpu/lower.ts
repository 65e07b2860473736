import { READ_MARGIN } from '../../../bundle/wasm-abi.ts'
import { invariant } from '../../invariant.ts'
import { elementsPerSample, showShape, type Tensor } from '../../ir/tensor.ts'
import { reductions } from '../../ir/analysis.ts'
import { constant, walk } from '../../ir/expression.ts'
import { type Axis, axesOf, axis, type Extent, index } from '../../ir/affine.ts'
import { type Equation, equation as newEquation, reads, store, writes } from '../../ir/equation.ts'
import { updatesInPlace } from '../../ir/regions.ts'
import { flattenAxes } from '../../ir/reshape.ts'
import { bindingsOf, type BufferOf } from '../bindings.ts'
import { SumsEmitter } from './gathered-sums.ts'
import { type LoopNest, pointStage, type Stage, type StageGroup, stagesOf, pointsOfTile } from './loop-nest.ts'
import { Point } from '../point.ts'
import { separateAt, separatePairs } from './separate-pairs.ts'
import { ReductionEmitter } from '../reduction-emitter.ts'
import type { KernelFunction, PackBuffer, Operand } from '../kernel-function.ts'
import { range } from '../range.ts'
import { KernelBuilder } from '../builder.ts'
import * as operands from '../operands.ts'
import { RewrittenMemory } from '../rewritten-memory.ts'
import { int, truth } from '../operands.ts'
import { storeTile } from './store-tile.ts'
import { TileLoops } from './tile-loops.ts'

/**
 * Lowers a loop nest to a kernel function that does one task: stage after stage, loop in loop (`TileLoops`), and the stores of a tile
 * in the innermost (`storeTile`). What updates in place is never computed twice.
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
  private readonly tiles: TileLoops
  private readonly rewritten = new RewrittenMemory()
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
    this.tiles = new TileLoops(this.builder, nest.images)
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
        this.tiles.emit(stage.each, exact, points, (inner) => this.stages(stage.stages, inner))
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
    const { equation, vectorReduction, unroll, slides } = stage
    // What reads its own result would take points that are computed twice for new ones.
    const exact = isInPlace(equation, this.bufferOf)
    const values = new ReductionEmitter(
      equation,
      { tile: new Map(), unroll, slides, ...(vectorReduction && { across: vectorReduction, separate: this.separateImages(stage) }) },
      this.builder,
      this.slots,
      {
        margin: READ_MARGIN,
        asWritten: true,
        written: { tensors: this.written, depth: this.builder.scopes.length - 1 },
        rewritten: this.rewritten,
      },
    )
    const roots = equation.stores.map((s) => s.value)
    const hoist = (points: readonly Point[]): void => values.hoistReductions(roots, points)
    const size = (stage.step ?? Infinity) * (this.nest.inPairs ? 2 : 1)
    const areReady = (points: readonly Point[]): boolean =>
      roots.every((root) => reductions(root).every((e) => points.every((point) => values.found(e, point) !== undefined)))
    const stepsOf = (points: readonly Point[]): (readonly Point[])[] =>
      exact || points.length <= size || !areReady(points) ? [points]
        : range(Math.ceil(points.length / size)).map((i) => points.slice(i * size, (i + 1) * size))
    const inside = (points: readonly Point[], sums?: SumsEmitter): void => {
      if (stage.pairMemory && !vectorReduction) this.separatePairs(stage, values, points)
      const store = (some: readonly Point[]): void => {
        // What a term loads may lie where the tile is stored.
        sums?.add(some)
        storeTile(equation, values, this.slots, some, this.nest.inPairs === true)
      }
      const steps = stepsOf(points)
      if (steps.length === 1) store(points)
      else for (const step of steps) this.builder.step(() => store(step))
    }
    const { loops, gathers } = stage
    if (gathers) {
      this.tiles.emit(loops.slice(0, -gathers.within), exact, outer, (points) => {
        const sums = new SumsEmitter(gathers, values, this.slots, points)
        this.tiles.emit(loops.slice(-gathers.within), exact, points, (tile) => inside(tile, sums), hoist)
        sums.store()
      }, hoist)
    } else this.tiles.emit(loops, exact, outer, inside, hoist)
    this.rewritten.pass(equation)
  }

  /** The same of sums whose terms lie in lanes, in pairs of images: see `pairImages`. */
  private separateImages({ loops, pairMemory }: Stage): ((sums: readonly Operand[]) => void) | undefined {
    const along = loops.findIndex((l) => l.axis === this.nest.images?.axis)
    if (!pairMemory || along < 0) return undefined
    // The four sums of a point that is four follow each other.
    const stride = loops.slice(along + 1).reduce((product, l) => product * l.tile, loops.some((l) => l.vectorized) ? 4 : 1)
    const all = pointsOfTile(loops)
    return (sums) => {
      if (sums.length === all) separateAt(this.builder, this.slots.get(pairMemory)!, sums, stride, this.turns++)
    }
  }

  /** Has the sums of a tile go through memory, so that what follows need not be of pairs. */
  private separatePairs({ equation, loops, pairMemory }: Stage, values: ReductionEmitter, points: readonly Point[]): void {
    for (const e of new Set(equation.stores.flatMap((s) => reductions(s.value)))) {
      const sums = points.map((point) => values.found(e, point)).filter((sum) => sum !== undefined)
      if (sums.length === points.length) separatePairs(this.builder, this.slots.get(pairMemory!)!, sums, loops, this.turns++)
    }
  }
}

/** Whether an equation reads what it writes, or another tensor of the same buffer. */
function isInPlace(e: Equation, bufferOf: BufferOf): boolean {
  const buffers = new Set(writes(e).map(bufferOf))
  return updatesInPlace(e) || reads(e).some((t) => bufferOf(t) !== undefined && buffers.has(bufferOf(t)))
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
