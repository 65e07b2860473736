import { InputError } from './errors.ts'
import { type Manifest, type Plan, PROGRAMS, type ProgramName, type Storage } from './format.ts'
import { didYouMean } from './nearest.ts'

/** The manifest of a net without its plans. */
type Said = Omit<Manifest, 'plans'>

/** `batch` (the default): as the file says, each batch's own statistics. `global`: the stored ones, which stay as they are. */
export type TrainStats = 'batch' | 'global'

/** The program of a bundle that does what is asked for: a net that normalizes with no batch's statistics trains by the plain one, and one that normalizes nothing has no others. */
export function programFor({ normalizations }: Said, name: string): string {
  const [task, stats] = name.split('/')
  return stats && normalizations?.every((layer) => layer.stats === stats && stats === 'global') ? task! : name
}

/** The program of a training step. Throws InputError for statistics that there are none of. */
export function trainingProgram(manifest: Said, task: 'gradients' | 'step' | 'train' | 'accumulate', stats: unknown = 'batch'): string {
  if (stats !== 'batch' && stats !== 'global')
    throw new InputError(`stats ${JSON.stringify(stats)}: training normalizes with 'batch' or 'global' statistics`)
  return stats === 'batch' ? task : programFor(manifest, `${task}/global`)
}

/** The advice for a `/global` program that a bundle lacks. A bundle without plans keeps no choice of programs: `open` is told. */
function howToTrainGlobally(
  { name, normalizations, outputs, plans }: Said & Partial<Manifest>,
  program: string,
  held: readonly string[],
): string {
  if (!outputs.some((output) => output.role === 'loss')) return 'it has no loss'
  const without = normalizations?.find((layer) => layer.stats === 'batch')
  if (without) return `${without.layer} keeps no statistics (stats: batch) that could be trained with`
  const wanted: ProgramName = program === 'accumulate/global' ? 'train/global' : program as ProgramName
  if (plans && Object.keys(plans).length === 0)
    return `open it with programs: [${[...new Set([...held, program, wanted])].map((each) => `'${each}'`).join(', ')}]`
  return `compile it with programs: ['default', '${wanted}'] (fusenet compile ${name}.net --programs default,${wanted} -o ${name})`
}

/** The program that a word means: `inference` means `infer`. */
const meant = (word: string): string => {
  const begun = PROGRAMS.find((name) => word.toLowerCase().startsWith(name))
  return begun ? `; did you mean ${begun}?` : didYouMean(word, PROGRAMS)
}

/** The programs of a plan that a session of these has (default: all): `prepare` too, where one of them needs it. */
export const programsToLoad = (
  { programs }: Pick<Plan, 'programs'>,
  asked: readonly string[] = Object.keys(programs),
): readonly string[] => {
  const isPrepared = asked.some((name) => Object.hasOwn(programs, name) && programs[name]!.needsPrepare)
  return Object.keys(programs).filter((name) => asked.includes(name) || (name === 'prepare' && isPrepared))
}

/** Throws InputError for what is the name of no program. `held`: those of the bundle, which may be asked for. */
export function refuseUnknown(programs: readonly string[] | undefined, held: readonly string[]): void {
  const unknown = programs?.find((name) => !PROGRAMS.includes(name as ProgramName))
  if (unknown === undefined) return
  const has = PROGRAMS.filter((name) => name !== 'prepare' && held.includes(name))
  throw new InputError(`there is no program ${unknown}${meant(unknown)} (this bundle holds ${has.join(', ') || 'none'})`)
}

/** Throws InputError for programs that a bundle does not hold. */
export function refuseMissing(manifest: Said, programs: readonly string[] | undefined, held: readonly string[], storage: Storage): void {
  const missing = programs?.find((name) => name !== 'prepare' && !held.includes(name))
  if (missing !== undefined) throw new InputError(missingProgram(manifest, missing, held, storage))
}

/** The message for a program that a bundle does not hold, with the way to get one that does. */
export function missingProgram(manifest: Said, name: string, held: readonly string[], storage: Storage): string {
  const has = held.filter((program) => program !== 'prepare')
  const holds = has.join(', ') || 'none'
  const trains = !/^(infer|eval)/.test(name)
  const why = storage === 'f16' ? `with f16 storage it infers and evaluates with stored statistics (${holds})`
    : trains && !manifest.outputs.some((output) => output.role === 'loss') ? 'it has no loss'
    : name.startsWith('eval') && manifest.outputs.every((output) => output.role === 'output') ? 'it has no loss and no metric'
    : name.startsWith('infer') && !manifest.outputs.some((output) => output.role === 'output') ? 'it has no output'
    : name.endsWith('/global') ? howToTrainGlobally(manifest, name, has)
    : `it holds ${holds}. Where the net has it: fusenet compile ${manifest.name}.net --programs ${
      [...has, name].join(',')
    } -o ${manifest.name}`
  return `this net has no program ${name}: ${why}`
}

/** The message for a target that a bundle has no plan for. */
export const missingPlan = (target: string, held: readonly string[]): string =>
  `this bundle holds no plan for ${target} (it holds ${held.join(', ') || 'none'}): compile it again with --targets ${
    [...held, target].join(',')
  }`
