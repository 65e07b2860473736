import type { Manifest, ProgramName } from './format.ts'
import { InputError } from './errors.ts'

/** `batch` (the default): as the file says, each batch's own statistics. `global`: the stored ones, which stay as they are. */
export type TrainStats = 'batch' | 'global'

/** The program of a bundle that does what is asked for: a net that normalizes with no batch's statistics trains by the plain one. */
export function programFor({ normalizations }: Manifest, name: string): string {
  const [task, stats] = name.split('/')
  return stats === 'global' && normalizations?.every((layer) => layer.stats === 'global') ? task! : name
}

/** The program of a training step. Throws InputError for statistics that there are none of. */
export function trainingProgram(manifest: Manifest, task: 'gradients' | 'step' | 'train' | 'accumulate', stats: unknown = 'batch'): string {
  if (stats !== 'batch' && stats !== 'global') throw new InputError(`stats ${JSON.stringify(stats)}: training normalizes with 'batch' or 'global' statistics`)
  return stats === 'batch' ? task : programFor(manifest, `${task}/global`)
}

/** What to do about a `/global` program that a bundle lacks. */
export function howToTrainGlobally({ name, normalizations, outputs }: Manifest, program: string): string {
  if (!outputs.some((output) => output.role === 'loss')) return 'it has no loss'
  const without = normalizations?.find((layer) => layer.stats === 'batch')
  if (without) return `${without.layer} keeps no statistics (stats: batch) that could be trained with`
  const wanted: ProgramName = program === 'accumulate/global' ? 'train/global' : program as ProgramName
  return `compile it with programs: ['default', '${wanted}'] (fusenet compile ${name}.net --programs default,${wanted} -o ${name})`
}
