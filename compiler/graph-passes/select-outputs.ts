import type { GraphPass } from './pass.ts'

/** Inference hands out outputs alone; losses and metrics, which read labels, belong to `eval`. */
export const selectOutputs: GraphPass = {
  name: 'select-outputs',
  required: true,
  programs: ['infer', 'infer/batch'],
  run: (graph) => ({ graph: { ...graph, outputs: graph.outputs.filter(({ role }) => role === 'output') }, declined: [] }),
}
