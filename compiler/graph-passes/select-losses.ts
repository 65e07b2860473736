import type { GraphPass } from './pass.ts'

/** A training step is asked for its losses alone: outputs and metrics that no loss depends on are dead then. */
export const selectLosses: GraphPass = {
  name: 'select-losses',
  programs: ['train', 'accumulate', 'train/global', 'accumulate/global'],
  run: (graph) => ({ graph: { ...graph, outputs: graph.outputs.filter(({ role }) => role === 'loss') }, declined: [] }),
}
