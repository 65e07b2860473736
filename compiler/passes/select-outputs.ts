import { PROGRAMS, type ProgramName } from '../../runtime/format.ts'
import type { NamedOutput } from '../graph/graph.ts'
import type { GraphPass } from './pass.ts'

const ROLES: Readonly<Record<ProgramName, readonly NamedOutput['role'][]>> = {
  prepare: [],
  infer: ['output'],
  'infer/batch': ['output'],
  eval: ['output', 'loss', 'metric'],
  'eval/batch': ['output', 'loss', 'metric'],
  gradients: ['output', 'loss', 'metric', 'gradient'],
  step: ['output', 'loss', 'metric', 'gradient'],
  train: ['loss'],
  accumulate: ['loss'],
}

/** Leaves the results that a program hands out; what nothing else needs is dead then. */
export const selectOutputs: GraphPass = {
  name: 'select-outputs',
  programs: PROGRAMS,
  run: (graph, { program }) => ({
    graph: { ...graph, outputs: graph.outputs.filter((output) => ROLES[program].includes(output.role)) },
    declined: [],
  }),
}
