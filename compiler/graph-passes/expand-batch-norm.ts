import type { ProgramName } from '../../bundle/format.ts'
import { type Graph, type Node, value, type Value } from '../graph/graph.ts'
import { countFraction, countRole, epsOf, policyOf } from '../ops/batch-norm/statistics-policy.ts'
import { affineOfNode, statisticsShape } from '../ops/batch-norm/statistics-table.ts'
import type { GraphPass } from './pass.ts'

export interface ExpandOptions {
  /** Whether stored statistics follow the batch. */
  readonly update: boolean
  /**
   * The statistics that batches are normalized with. `train`: their own statistics, but for layers with `stats: global`. `batch`: their own
   * throughout. `global`: what is stored, but for layers that store nothing.
   */
  readonly stats: 'train' | 'batch' | 'global'
  /** Layers with stored statistics are taken apart too: for gradients, which ask for each channel's coefficients again. */
  readonly apart?: boolean
}

interface Count {
  readonly node: Node
  readonly fraction: number
}

/** Counters in one kernel, at most: each is a binding, and eight are granted everywhere. */
const COUNTS_AT_ONCE = 7

/**
 * Takes a batch_norm that normalizes a batch with its own statistics apart into
 *   moments            S = mean (in two numbers), variance and inverse deviation of each channel, and what gamma and beta make of them
 *   batch_normalize    y = gamma x-hat + beta
 *   update_statistics  running mean and variance, in place; stands at the end, behind whatever reads them
 * The output's value stays, so nothing that reads it changes. A layer with stored statistics is left as it is, or becomes
 *   stored_statistics  the same S of what is stored, which nothing updates
 *   batch_normalize    the same, with `stored`: its gradient is a fixed scaling
 */
export function expandBatchNorm(graph: Graph, options: ExpandOptions): Graph {
  const updates: Node[] = []
  // Layers that share their statistics each see what the one before counted.
  let counts = new Map<Value, Count>()
  const count = (node: Node): void => {
    const fraction = countFraction(node.attributes)
    const counter = node.parameters[countRole(node.attributes)]
    if (fraction === undefined || !counter) return
    if (counts.has(counter)) {
      updates.push(...countUpdates([...counts]))
      counts = new Map()
    }
    counts.set(counter, { node, fraction })
  }
  const nodes = graph.nodes.flatMap((node) => {
    if (node.op !== 'batch_norm') return [node]
    if (!normalizesWithBatch(node, options)) return options.apart ? withStored(node) : [node]
    const x = node.inputs[0]!
    const affine = affineOfNode(node)
    const { style } = node.attributes
    const statistics = value(`${node.name}.statistics`, statisticsShape(x.shape, affine !== undefined), node.span)
    const { gamma, beta } = node.parameters
    const moments: Node = {
      ...node,
      name: `${node.name}.moments`,
      op: 'moments',
      parameters: { ...affine },
      outputs: [statistics],
      attributes: { eps: epsOf(node.attributes), ...(style !== undefined && { style }) },
    }
    const normalize: Node = {
      ...node,
      op: 'batch_normalize',
      inputs: [x, statistics],
      parameters: { ...(gamma && { gamma }), ...(beta && { beta }) },
    }
    if (options.update) {
      count(node)
      updates.push(...updateOf(node, statistics))
    }
    return [moments, normalize]
  })
  return { ...graph, nodes: [...nodes, ...updates, ...countUpdates([...counts])] }
}

function withStored(node: Node): Node[] {
  const { gamma, beta, ...stored } = node.parameters
  const affine = affineOfNode(node)
  const statistics = value(`${node.name}.statistics`, statisticsShape(node.inputs[0]!.shape, affine !== undefined), node.span)
  return [
    {
      ...node,
      name: `${node.name}.stored`,
      op: 'stored_statistics',
      inputs: [],
      parameters: { ...stored, ...affine },
      outputs: [statistics],
    },
    {
      ...node,
      op: 'batch_normalize',
      inputs: [node.inputs[0]!, statistics],
      parameters: { ...(gamma && { gamma }), ...(beta && { beta }) },
      attributes: { ...node.attributes, stored: true },
    },
  ]
}

function normalizesWithBatch(node: Node, { stats }: ExpandOptions): boolean {
  const policy = policyOf(node.attributes)
  return policy === 'batch' || stats === 'batch' || (stats === 'train' && policy !== 'global')
}

function updateOf(node: Node, statistics: Value): Node[] {
  const policy = policyOf(node.attributes)
  if (policy === 'batch' || policy === 'global') return []
  const { running_mean: mean, running_var: variance } = node.parameters
  const { count, scale_factor } = node.parameters
  const x = node.inputs[0]!
  const positions = x.shape.slice(2).reduce<number>((product, dim) => product * (dim as number), 1)
  return [{
    ...node,
    name: `${node.name}.update`,
    op: 'update_statistics',
    inputs: [statistics],
    parameters: {
      running_mean: mean!,
      running_var: variance!,
      ...(policy === 'cumulative' && count && { count }),
      ...(policy === 'caffe' && scale_factor && { scale_factor }),
    },
    outputs: [mean!, variance!],
    attributes: {
      ...node.attributes,
      positions: x.shape[0] === 'n' ? positions : positions * (x.shape[0] as number),
      batched: x.shape[0] === 'n',
    },
  }]
}

/** Every channel reads the count, so that it is counted in a kernel of its own: one for several layers. */
function countUpdates(counts: readonly (readonly [Value, Count])[]): Node[] {
  const nodes: Node[] = []
  for (let i = 0; i < counts.length; i += COUNTS_AT_ONCE) {
    const group = counts.slice(i, i + COUNTS_AT_ONCE)
    const first = group[0]![1].node
    nodes.push({
      ...first,
      name: `${first.name}.count`,
      op: 'update_counts',
      inputs: [],
      parameters: Object.fromEntries(group.map(([count], k) => [`count${k}`, count])),
      outputs: group.map(([count]) => count),
      attributes: { fractions: group.map(([, { fraction }]) => fraction) },
    })
  }
  return nodes
}

const OPTIONS: Partial<Record<ProgramName, ExpandOptions>> = {
  'infer': { update: false, stats: 'global' },
  'infer/batch': { update: false, stats: 'batch' },
  'eval': { update: false, stats: 'global' },
  'eval/batch': { update: false, stats: 'batch' },
  'gradients': { update: false, stats: 'train', apart: true },
  'step': { update: true, stats: 'train', apart: true },
  'train': { update: true, stats: 'train', apart: true },
  'accumulate': { update: true, stats: 'train', apart: true },
  'gradients/global': { update: false, stats: 'global', apart: true },
  'step/global': { update: false, stats: 'global', apart: true },
  'train/global': { update: false, stats: 'global', apart: true },
  'accumulate/global': { update: false, stats: 'global', apart: true },
}

export const expandBatchNormPass: GraphPass = {
  name: 'expand-batch-norm',
  required: true,
  programs: Object.keys(OPTIONS) as ProgramName[],
  run: (graph, { program }) => ({ graph: expandBatchNorm(graph, OPTIONS[program] ?? { update: false, stats: 'global' }), declined: [] }),
}
