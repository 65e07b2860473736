import type { Graph } from '../../compiler/graph/graph.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { loadProgram } from '../../dsl/index.ts'
import type { Program } from '../../dsl/program.ts'
import type { ModelLayer, ModelNet } from '../model-net.ts'
import { netText, type ResultNames } from './net-text.ts'
import type { Plan } from './plan.ts'
import { isSameProgram } from './same-program.ts'
import { structuredPlan } from './structured-plan.ts'
import { learnedOutput, type TrainingHint, trainingHint } from './training-hint.ts'

/** A model as program and graph: each of its layers is a statement of its own, in its order. */
export interface Reference {
  readonly program: Program
  readonly graph: Graph
}

/** Nets of more layers are written without blocks: looking for what repeats takes time with the square of them (densenet201 has 700). */
const MOST_LAYERS = 2000

/** The text as a person would write it. Where it does not compute what the reference does, which is a fault here, the one without blocks. */
export function readable(
  net: ModelNet,
  names: ResultNames,
  reference: Reference,
  flat: Plan,
): { readonly text: string; readonly plan: Plan; readonly fault?: unknown } {
  const ownersIn = (plan: Plan): (name: string) => ModelLayer | undefined => {
    const owners = new Map([...plan.layerNames].map(([layer, name]) => [name, layer]))
    return (name) => owners.get(name)
  }
  const hint = hintOf(net, names, reference)
  const attempt = (plan: Plan): { text: string; plan: Plan } => {
    const text = netText(net, plan, names, { hint })
    const { program, diagnostics } = loadProgram({ file: `${net.name}.net`, text }, { vocabulary })
    if (!program) throw new Error(`${diagnostics.map(({ message }) => message).join('\n')}\n${text}`)
    if (!isSameProgram(reference.program, program, ownersIn(flat), ownersIn(plan)))
      throw new Error(`this text computes something else:\n${text}`)
    return { text, plan }
  }
  try {
    return attempt(net.layers.length > MOST_LAYERS ? flat : structuredPlan(net))
  } catch (fault) {
    return { ...attempt(flat), fault }
  }
}

/** How to train on what the net gives out: what stands before its softmax, if it ends in one. */
function hintOf(
  net: ModelNet,
  names: ResultNames,
  { graph }: Reference,
): (nameOf: (value: string) => string | undefined) => TrainingHint | undefined {
  const { output, last } = learnedOutput(net) ?? {}
  const made = graph.outputs.find(({ role, name }) => role === 'output' && name === (output && names.results.get(output)))
  const scores = last && ['softmax', 'log_softmax', 'sigmoid'].includes(last.op) ? String(last.inputs[0]) : output?.value
  return (nameOf) => {
    if (!output || !made || scores === undefined) return undefined
    // What has no name of its own is called as the result.
    const name = nameOf(scores) ?? names.results.get(output)!
    return trainingHint(
      net,
      { name, shape: made.value.shape.slice(1) as number[] },
      new Set([...names.inputs.values(), ...names.results.values()]),
    )
  }
}
