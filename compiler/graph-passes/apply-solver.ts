import type { AttributeCall } from '../../dsl/signature.ts'
import { taskOf } from '../../bundle/format.ts'
import { nowhere, type Span } from '../../dsl/source.ts'
import { type Constant, type Graph, type Node, value, type Value } from '../graph/graph.ts'
import type { StorageSlot } from '../ir/tensor.ts'
import { ALIGNMENT, packedSizes } from '../graph/storage.ts'
import { invariant } from '../invariant.ts'
import { NON_FINITE_RESULT } from '../../bundle/format.ts'
import { solverSlots } from '../ops/solver.ts'
import type { GraphPass, UpdateSettings } from './pass.ts'

const MULTIPLIERS = 'multipliers'
/** The settings of a net without a train block, so that it can be stepped all the same. */
const PLAIN: UpdateSettings = { solver: { call: 'sgd', args: {} }, accumulate: 1 }

/**
 * Appends the update: one node over all parameters at once, since values, gradients and histories are packed alike. `step`
 * and `train` update; `accumulate` only adds its gradients to those of the batches before, which `train` then takes in,
 * and starts over. A step by itself is one batch, however many an update takes in training.
 */
export const applySolver: GraphPass = {
  name: 'apply-solver',
  required: true,
  programs: ['step', 'train', 'accumulate', 'step/global', 'train/global', 'accumulate/global'],
  run: (graph, { program, train = PLAIN }) => {
    const { parameters: size } = packedSizes(graph)
    if (size === 0) return { graph, declined: [] }
    const update = new Update(size, graph.nodes.at(-1)?.span ?? nowhere)
    const task = taskOf(program)
    const nodes = task === 'accumulate' ? [update.accumulate()]
      : task === 'train' && train.accumulate > 1 ? update.ofSum(train)
      : update.ofBatch(train.solver, update.gradients(), 1)
    const constants = task === 'accumulate' ? [] : [{ value: update.multipliers, values: multipliersOf(graph) }]
    const outputs = task === 'accumulate' ? [] : [{ name: NON_FINITE_RESULT, role: 'count' as const, value: update.broken }]
    const before = task === 'accumulate' ? graph.nodes
      : graph.nodes.map((node) => (node.op === 'update_statistics' ? update.counting(node) : node))
    return {
      graph: {
        ...graph,
        nodes: [...before, ...nodes],
        outputs: [...graph.outputs, ...outputs],
        constants: [...(graph.constants ?? []), ...constants],
      },
      declined: [],
    }
  },
}

class Update {
  private readonly size: number
  private readonly span: Span
  /** [P / 64, 2]: lr_mult and decay_mult of each block of 64 elements. */
  readonly multipliers: Value
  /** [1], i32 */
  readonly broken: Value

  constructor(size: number, span: Span) {
    this.size = size
    this.span = span
    this.broken = this.counter()
    this.multipliers = this.packed(MULTIPLIERS, { role: 'constants', slot: MULTIPLIERS }, [size / ALIGNMENT, 2])
  }

  private packed(name: string, storage: Omit<StorageSlot, 'offset'>, shape: readonly number[] = [this.size]): Value {
    return value(name, shape, this.span, { storage: { ...storage, offset: 0 } })
  }

  /** A counter of elements that were not updated. Each node that counts has a value of its own, all in the same place. */
  private counter(): Value {
    return value('non_finite', [1], this.span, { type: 'i32', storage: { role: 'gradients', slot: 'non_finite', offset: 0 } })
  }

  /** Running statistics that counts, too, what it leaves as it was. */
  counting(node: Node): Node {
    return { ...node, outputs: [...node.outputs, this.counter()] }
  }

  private node(name: string, more: Partial<Node> & Pick<Node, 'op' | 'outputs'>): Node {
    return { name, layer: 'solver', inputs: [], parameters: {}, attributes: {}, span: this.span, ...more }
  }

  gradients(): Value {
    return this.packed('gradients', { role: 'gradients' })
  }

  private sum(): Value {
    return this.packed('gradients.sum', { role: 'gradients', slot: 'sum' })
  }

  /** sum += this batch's gradients */
  accumulate(sum = this.sum()): Node {
    return this.node('accumulate', { op: 'accumulate', inputs: [this.gradients()], parameters: { sum }, outputs: [sum] })
  }

  ofSum({ solver, accumulate }: UpdateSettings): Node[] {
    const sum = this.sum()
    return [
      this.accumulate(sum),
      ...this.ofBatch(solver, sum, accumulate),
      // Its own value: the same place, made anew.
      this.node('start_over', { op: 'constant', outputs: [this.sum()], attributes: { value: 0 } }),
    ]
  }

  /** Clips where asked for, and updates parameters and histories in place. The rate comes with each step: no kernel depends on where it starts. */
  ofBatch({ call, args: { lr: _, ...args } }: AttributeCall, gradients: Value, accumulate: number): Node[] {
    const slots = solverSlots.get(call)
    invariant(slots, `apply-solver: there is no solver ${call}`)
    const histories = slots.map((slot) => this.packed(`history.${slot}`, { role: 'history', slot }))
    const parameters = this.packed('parameters', { role: 'parameters' })
    const most = args['clip_gradients']
    const factor = typeof most === 'number' && most >= 0
      ? this.node('gradient_clip', {
        op: 'gradient_clip',
        inputs: [gradients, this.multipliers],
        outputs: [value('gradient_clip', [], this.span)],
        attributes: { clip_gradients: most },
      })
      : undefined
    return [
      ...(factor ? [factor] : []),
      this.node('solver', {
        op: call,
        inputs: [gradients, this.multipliers, ...(factor ? factor.outputs : [])],
        attributes: { ...args, accumulate },
        parameters: { parameters, ...Object.fromEntries(slots.map((slot, i) => [slot, histories[i]!])) },
        outputs: [parameters, ...histories, this.broken],
      }),
    ]
  }
}

/** Row by row, alike ones together; parameters fill the buffer without gaps. */
function multipliersOf(graph: Graph): Constant['values'] {
  const runs: { times: number; values: readonly number[] }[] = []
  const trained = graph.parameters.filter((p) => p.trainable).sort((a, b) => a.value.storage!.offset - b.value.storage!.offset)
  for (const { value: of, rateMultiplier, decayMultiplier } of trained) {
    const times = Math.ceil(of.shape.reduce<number>((product, dim) => product * (dim as number), 1) / ALIGNMENT)
    const last = runs.at(-1)
    if (last && last.values[0] === rateMultiplier && last.values[1] === decayMultiplier) last.times += times
    else runs.push({ times, values: [rateMultiplier, decayMultiplier] })
  }
  return runs
}
