import { nextTensorId, type Tensor } from '../ir/tensor.ts'
import { mapValues, topDown } from '../ir/rewrite.ts'
import { type Equation, writes } from '../ir/equation.ts'
import { loadAt } from '../ir/expression-node.ts'
import { chooseDropped } from './drop-search.ts'
import type { KernelLaunch, LaunchSequence } from './kernel-launch.ts'
import { RecomputationModel, type RematerializationRequest, withoutSides } from './recomputation-model.ts'

/**
 * Trades time for memory (Chen, Xu, Zhang & Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost"): values of the forward
 * pass are let go after their last reader there, and the kernels that made them run again, `conv2.again`, right before the backward
 * pass first asks. Which values: see `chooseDropped`. A kernel runs again as it is, only that it gathers no statistics: those, like all that
 * does not grow with the batch, are kept, and running statistics are updated once. Dropout draws the same numbers again.
 *
 * It works on kernels and not on layers, so what it weighs is what is stored: what fusion computes as it is loaded costs nothing here.
 */
export function rematerializeValues(request: RematerializationRequest): LaunchSequence {
  const model = new RecomputationModel(request)
  const dropped = chooseDropped(model)
  return dropped.every((d) => d === 0) ? request : withRecomputation(model, dropped)
}

/** The program in which kernels run again for the values that are dropped. */
function withRecomputation(model: RecomputationModel, dropped: Uint8Array): LaunchSequence {
  const { request } = model
  const viewOf = new Map(request.viewOf)
  const copies = new Map<Tensor, Tensor>()
  const count = model.values.length
  const copyOf = (t: Tensor): Tensor => {
    let before: Tensor | undefined
    // A view's copy is a view of the copy of what it shows.
    for (let of: Tensor | undefined = t; of; of = viewOf.get(of)) {
      const known = copies.get(of)
      const copy = known ?? { ...of, id: nextTensorId(), name: `${of.name}.again` }
      copies.set(of, copy)
      if (before) viewOf.set(before, copy)
      if (known) break
      before = copy
    }
    return copies.get(t)!
  }
  const steps = model.launches(dropped).map(({ kernel, again, values }): KernelLaunch => {
    const step = request.steps[kernel]!
    const fresh = new Set(values.filter((v) => v >= count).map((v) => model.values[v - count]!))
    const change = (t: Tensor): Tensor => (fresh.has(model.root(t)) ? copyOf(t) : t)
    if (!again) return fresh.size === 0 ? step : { ...step, equation: withTensors(step.equation, change) }
    const wanted = new Set(writes(step.equation).filter((t) => fresh.has(model.root(t))).map((t) => model.root(t)))
    const stores = step.equation.stores.filter((s) => wanted.has(model.root(s.tensor)))
    const { moments: _, sums: __, ...plain } = withTensors({ ...withoutSides(step.equation), stores }, change)
    return {
      equation: { ...plain, name: `${plain.name}.again`, stores: plain.stores.map((s) => ({ ...s, tensor: copyOf(s.tensor) })) },
      why: ['computed again for the backward pass, not kept: memory small'],
      again: true,
    }
  })
  return { steps, viewOf }
}

/** The equation with `change` applied to each tensor that it loads. */
function withTensors(equation: Equation, change: (t: Tensor) => Tensor): Equation {
  const rewritten = topDown((node) => (node.kind === 'load' ? loadAt(change(node.tensor), node.at) : undefined))
  return {
    ...mapValues(equation, rewritten),
    sides: equation.sides.map((side) => (side.kind === 'sums' ? { ...side, terms: side.terms.map(rewritten) } : side)),
  }
}
