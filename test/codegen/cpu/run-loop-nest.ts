import type { Axis, Index } from '../../../compiler/ir/affine.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { sum } from '../../../compiler/ir/expression.ts'
import { overAxes } from '../../../compiler/ir/reshape.ts'
import type { Tensor } from '../../../compiler/ir/tensor.ts'
import type { LoopNest, Stage, StageGroup } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { compileFor } from '../../../compiler/compile.ts'
import { evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'
import { wasm } from '../../../compiler/targets/wasm/target.ts'

/** The equations that a net's programs become for WebAssembly, by their names. */
export function equationsOf(text: string, programs: readonly string[]): Map<string, Equation> {
  const { pipelines } = compileFor(text, [wasm], { programs })
  return new Map(pipelines[0]!.programs.flatMap((p) => p.steps.map(({ fused: { equation } }) => [equation.name, equation] as const)))
}

/**
 * Runs a loop nest in float64 by the interpreter of equations: task by task, stage by stage. What it leaves out is the register tile, whose
 * points the interpreter takes one by one.
 */
export function runLoopNest({ grid, outerReduction, stages, images }: LoopNest, storage: Map<Tensor, Numbers>, batch: number): void {
  const extent = ({ extent: e }: Axis): number => (typeof e === 'number' ? e : e === 'n' ? batch : Math.ceil(batch / e.chunks))
  /** The first image of a block. */
  const firstImage = (at: ReadonlyMap<Axis, number>): number => {
    const [{ atom, coefficient }] = images!.first.terms as [Index['terms'][number]]
    return coefficient * at.get((atom as { axis: Axis }).axis)!
  }
  const run = (stage: Stage, at: ReadonlyMap<Axis, number>): void => {
    if (!images || at.has(images.axis) || !stage.equation.axes.includes(images.axis)) return runAt(stage, at)
    // A block of images ends with the batch.
    const first = firstImage(at)
    for (let i = 0; i < extent(images.axis) && first + i < batch; i++) runAt(stage, new Map([...at, [images.axis, i]]))
  }
  const runAt = ({ equation, loops, gathers }: Stage, at: ReadonlyMap<Axis, number>): void => {
    if (gathers) {
      const within = loops.slice(-gathers.within).map((loop) => loop.axis)
      const stores = gathers.stores.map((s) => ({ ...s, value: sum(within, s.value) }))
      const own = equation.axes.filter((a) => !at.has(a) && !within.includes(a))
      evaluateEquation({ ...overAxes({ ...equation, stores }, at, own), sides: [] }, storage, { batch })
    }
    // Other statistics have a stage of their own.
    evaluateEquation({ ...overAxes(equation, at, equation.axes.filter((a) => !at.has(a))), sides: [] }, storage, { batch })
  }
  /** Calls `inside` at every point of some axes, outermost first. */
  const overPoints = (axes: readonly Axis[], at: ReadonlyMap<Axis, number>, inside: (at: ReadonlyMap<Axis, number>) => void): void => {
    const [first, ...others] = axes
    if (!first) return inside(at)
    const image = first === images?.axis ? firstImage(at) : -Infinity
    for (let i = 0; i < extent(first) && image + i < batch; i++) overPoints(others, new Map([...at, [first, i]]), inside)
  }
  const runAll = (some: readonly (Stage | StageGroup)[], at: ReadonlyMap<Axis, number>): void => {
    for (const stage of some) {
      if (!('each' in stage)) run(stage, at)
      // What is handed on has a place for each point of the axis in lanes.
      else overPoints(stage.each.filter((loop) => !loop.vectorized).map((loop) => loop.axis), at, (inner) => runAll(stage.stages, inner))
    }
  }
  overPoints(grid, new Map(), (at) => {
    if (!outerReduction) return runAll(stages, at)
    const { axis, init, epilogue } = outerReduction
    run(init, at)
    for (let i = 0; i < extent(axis); i++) runAll(stages, new Map([...at, [axis, i]]))
    if (epilogue) runAll([epilogue], at)
  })
}
