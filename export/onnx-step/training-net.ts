import type { Manifest, Style } from '../../bundle/format.ts'
import { CompileError } from '../../compiler/compile-error.ts'
import { frontEnd } from '../../compiler/front-end/front-end.ts'
import { differentiate } from '../../compiler/graph-passes/differentiate.ts'
import { dropCancelledBias } from '../../compiler/graph-passes/drop-cancelled-bias.ts'
import { eliminateDead } from '../../compiler/graph-passes/eliminate-dead.ts'
import { eliminateIdentities } from '../../compiler/graph-passes/eliminate-identities.ts'
import { expandBatchNormPass } from '../../compiler/graph-passes/expand-batch-norm.ts'
import { expandSampleNorm } from '../../compiler/graph-passes/expand-sample-norm.ts'
import { givenDivisors } from '../../compiler/graph-passes/given-divisors.ts'
import { mergeScale } from '../../compiler/graph-passes/merge-scale.ts'
import type { GraphPass, UpdateSettings } from '../../compiler/graph-passes/pass.ts'
import { simplifyTransposes } from '../../compiler/graph-passes/simplify-transposes.ts'
import { splitScale } from '../../compiler/graph-passes/split-scale.ts'
import type { Graph } from '../../compiler/graph/graph.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { ExportError } from '../export-error.ts'
import type { ExportSource } from '../inference-net.ts'

/** A net with its backward pass: forward, losses, metrics, statistics and gradients, all but the update. */
export interface TrainingNet {
  readonly manifest: Manifest
  readonly graph: Graph
  readonly train: UpdateSettings
}

/** The settings of a net without a train block. */
const PLAIN: UpdateSettings = { solver: { call: 'sgd', args: {} }, accumulate: 1 }

/** Metrics stay, which a step of fusenet leaves out: they cost little beside it. */
const selectNumbers: GraphPass = {
  name: 'select-numbers',
  programs: ['train'],
  run: (graph) => ({
    graph: { ...graph, outputs: graph.outputs.filter(({ role }) => role === 'loss' || role === 'metric') },
    declined: [],
  }),
}

/** The passes of the program `train` that say what is computed; those that say how fast are not needed. */
const PASSES: readonly GraphPass[] = [
  mergeScale,
  splitScale,
  selectNumbers,
  eliminateIdentities,
  simplifyTransposes,
  eliminateDead,
  expandBatchNormPass,
  expandSampleNorm,
  dropCancelledBias,
  differentiate,
  givenDivisors,
  eliminateDead,
]

/** Reads the text that a bundle carries. Throws ExportError for a net that has nothing to train. */
export function trainingNet({ manifest }: Pick<ExportSource, 'manifest'>, style: Style = manifest.style): TrainingNet {
  const [main, ...others] = manifest.source.files.map(({ name, text }) => ({ file: name, text }))
  if (!main) throw new ExportError([{ where: '', what: 'this bundle carries no text, of which nets are exported' }])
  const { graph, program, diagnostics } = frontEnd(main, {
    style,
    ...(manifest.freeze && { freeze: manifest.freeze }),
    allowOneValue: true,
    readImport: (path) => others.find(({ file }) => file.endsWith(path.replace(/^\.\//, ''))),
  })
  if (!graph) throw new CompileError(diagnostics)
  if (!graph.outputs.some(({ role }) => role === 'loss'))
    throw new ExportError([{ where: graph.name, what: 'it has no loss: there is nothing to train', mend: 'write `loss = ...`' }])
  if (!graph.parameters.some(({ trainable }) => trainable))
    throw new ExportError([{ where: graph.name, what: 'no layer of it learns anything: there is nothing to train' }])
  const train = program?.train ?? PLAIN
  const context = { program: 'train', operators, style, train } as const
  return {
    manifest,
    train,
    graph: PASSES.filter(({ programs }) => programs.includes('train')).reduce((now: Graph, pass) => pass.run(now, context).graph, graph),
  }
}
