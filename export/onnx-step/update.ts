import type { AttributeCall } from '../../dsl/signature.ts'
import { type Axis, axis } from '../../compiler/ir/affine.ts'
import { count, equation, store } from '../../compiler/ir/equation.ts'
import { add, constant, div, type Expression, load, mul, select, sum, tanh } from '../../compiler/ir/expression.ts'
import { type Shape, tensor, type Tensor } from '../../compiler/ir/tensor.ts'
import type { ParameterEntry, Value } from '../../compiler/graph/graph.ts'
import type { UpdateSettings } from '../../compiler/graph-passes/pass.ts'
import { clipFactor, solverSlots, updated } from '../../compiler/ops/solver.ts'
import { type EquationContext, writeEquation } from './equations.ts'

/** A tensor that a step takes and gives back: what a driver feeds first, and what it is called. */
export interface SolverState {
  readonly name: string
  readonly tensor: Tensor
}

/** What a solver keeps between steps, beside parameters. */
export interface SolverMemory {
  /** Updates that were made: a number. */
  readonly step: Tensor
  /** The number of batches that have been added up, and the sums of their gradients, where one update takes several. */
  readonly batches?: Tensor
  readonly sums: ReadonlyMap<ParameterEntry, Tensor>
  readonly histories: ReadonlyMap<ParameterEntry, readonly Tensor[]>
  readonly all: readonly SolverState[]
}

/** The parameters that an update writes. */
export const trainedOf = (parameters: readonly ParameterEntry[]): ParameterEntry[] =>
  parameters.filter(({ trainable, rateMultiplier }) => trainable && rateMultiplier !== 0)

/** Names with a slash are those of the solver: histories are called as in snapshots. All of it starts as zeros. */
export function memoryOf(parameters: readonly ParameterEntry[], { solver, accumulate }: UpdateSettings): SolverMemory {
  const all: SolverState[] = []
  const kept = (name: string, shape: Shape): Tensor => {
    const made = tensor(name, shape)
    all.push({ name, tensor: made })
    return made
  }
  const step = kept('solver/step', [])
  const batches = accumulate > 1 ? { batches: kept('solver/batches', []) } : {}
  const trained = trainedOf(parameters)
  const sums = new Map(accumulate > 1 ? trained.map((entry) => [entry, kept(`solver/sum/${entry.name}`, entry.value.shape)] as const) : [])
  const slots = solverSlots.get(solver.call)!.filter(() => !isPlain(solver))
  const histories = new Map(
    trained.map((entry) => [entry, slots.map((slot) => kept(`history/history.${slot}/${entry.name}`, entry.value.shape))] as const),
  )
  return { step, ...batches, sums, histories, all }
}

/** Gradient descent without momentum looks at no history. */
const isPlain = ({ call, args }: AttributeCall): boolean => call === 'sgd' && ((args['momentum'] as number | undefined) ?? 0) === 0

const pointsOf = ({ shape }: Tensor): Axis[] => shape.map((extent, d) => axis(`i${d}`, extent))

/**
 * Writes the update of all parameters by their gradients: the formulas of the solver, a parameter at a time. Where an update takes several
 * batches, gradients are added up, and all is left as it was but the sums until the last one of them.
 */
export function writeUpdate(
  parameters: readonly ParameterEntry[],
  gradientOf: (entry: ParameterEntry) => Value | undefined,
  { solver: { call, args: { lr: _, ...args } }, accumulate }: UpdateSettings,
  memory: SolverMemory,
  context: EquationContext,
): void {
  const { nodes } = context
  const { step, batches, sums, histories } = memory
  const at = (name: string): void => {
    nodes.at = name
  }
  /** Whether this batch is the last of an update: 1, else 0. */
  const isLast: Expression = batches ? select('eq', add(load(batches), 1), accumulate, 1, 0) : constant(1)
  const ifLast = (now: Expression, otherwise: Expression): Expression => batches ? select('eq', isLast, 1, now, otherwise) : now

  const trained = trainedOf(parameters)
  const totals = new Map(trained.map((entry): [ParameterEntry, (axes: readonly Axis[]) => Expression] => {
    const gradient = gradientOf(entry)
    const sum = sums.get(entry)
    return [entry, (axes) => {
      // A parameter that no loss depends on has the gradient 0, and decays all the same.
      const own = gradient ? load(gradient, ...axes) : constant(0)
      return sum ? add(load(sum, ...axes), own) : own
    }]
  }))

  at('solver.clip')
  const most = args['clip_gradients']
  const clip = typeof most === 'number' ? tensor('gradient_clip', []) : undefined
  if (clip) {
    const squares = trained.map((entry) => {
      const axes = pointsOf(entry.value)
      const g = totals.get(entry)!(axes)
      return sum(axes, mul(g, g))
    })
    writeEquation(equation('solver.clip', ['solver'], [], [store(clip, [], clipFactor(add(...squares), most as number))]), context)
  }

  for (const entry of trained) {
    at(`solver.${entry.name}`)
    const axes = pointsOf(entry.value)
    const own = histories.get(entry)!
    // A history that is not looked at is none.
    const kept = solverSlots.get(call)!.map((_, k) => (own[k] ? load(own[k], ...axes) : constant(0)))
    const gradient = totals.get(entry)!(axes)
    const { values, broken } = updated(call, {
      weight: load(entry.value, ...axes),
      gradient,
      ...(clip && { clip: load(clip) }),
      histories: kept,
      rateMultiplier: constant(entry.rateMultiplier),
      decayMultiplier: constant(entry.decayMultiplier),
    }, { ...args, accumulate })
    const [weight, ...past] = values
    const sumOf = sums.get(entry)
    writeEquation(
      equation(entry.name, ['solver'], axes, [
        store(entry.value, axes, ifLast(weight!, load(entry.value, ...axes))),
        ...own.map((history, k) => store(history, axes, ifLast(past[k]!, load(history, ...axes)))),
        ...(sumOf ? [store(sumOf, axes, ifLast(constant(0), gradient))] : []),
        count(step, batches ? mul(isLast, broken) : broken),
      ]),
      context,
    )
  }
  at('solver')
  writeEquation(
    equation('solver', ['solver'], [], [
      store(step, [], add(load(step), isLast)),
      ...(batches ? [store(batches, [], ifLast(constant(0), add(load(batches), 1)))] : []),
    ]),
    context,
  )
}

/**
 * Adam's 1 - b^(t+1) of the number of updates before. b^(t+1) is near 1 at first, and a difference would lose digits; with
 * v = -(t + 1) ln b it is 1 - exp(-v) = 2 tanh(v / 2) / (1 + tanh(v / 2)), which loses none.
 */
export function correction(step: Tensor, beta: number): Expression {
  const half = tanh(mul(add(load(step), 1), -Math.log(beta) / 2))
  return div(mul(2, half), add(1, half))
}

/** The weights of the past of Adam's two means, as `scalar` calls their corrections. */
export const betasOf = ({ args }: AttributeCall): Readonly<Record<'correction1' | 'correction2', number>> => ({
  correction1: (args['beta1'] as number | undefined) ?? 0.9,
  correction2: (args['beta2'] as number | undefined) ?? 0.999,
})
