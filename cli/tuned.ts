import { homedir } from 'node:os'
import { join } from 'node:path'
import type { CompileOptions } from '../compiler/compile-options.ts'
import type { ScheduleUse } from '../compiler/targets/target.ts'
import { type AdapterSchedules, adapterOf, nameAdapter, NO_SCHEDULES, parseCache, printCache, type ScheduleCache,
  schedulesOf } from '../measure/schedule-cache.ts'
import { InputError } from '../bundle/errors.ts'
import { countOf, plain } from '../bundle/plain.ts'
import type { Manifest } from '../bundle/format.ts'
import { TARGET_NAMES } from '../bundle/plans.ts'
import { adapterHere } from './devices.ts'
import { replaceFile } from '../runtime/loading/node/files.ts'
import { kindOf, readText } from './files.ts'
import type { Screen } from './screen.ts'

/** The default file in which `fusenet tune` keeps its schedules: specifications.freedesktop.org/basedir-spec. */
export const defaultCache = ({ terminal: { env } }: Screen): string =>
  join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fusenet', 'schedules.json')

/** The content of a cache file; empty where there is no file. */
export async function readCache(file: string): Promise<ScheduleCache> {
  return await kindOf(file) === undefined ? NO_SCHEDULES : parseCache(await readText(file), file)
}

/** Reads, changes and writes: what somebody else found meanwhile stays. */
export async function changeCache(file: string, change: (cache: ScheduleCache) => ScheduleCache): Promise<ScheduleCache> {
  const cache = change(await readCache(file))
  await replaceFile(file, printCache(cache))
  return cache
}

/** The schedules that were asked for, and what became of them once a net was compiled. */
export interface Tuned {
  readonly schedules: NonNullable<CompileOptions['schedules']>
  readonly onSchedules: (use: ScheduleUse) => void
  /** The uses that were told, each once. */
  readonly uses: readonly ScheduleUse[]
  /** Tells where a net is compiled to train with a batch at which none of the schedules was measured. */
  sayBatch(batch: number | undefined): void
}

/** The schedules that `--tuned` or `--cache FILE` ask for; undefined where neither does. What became of them is noted on the screen. */
export async function tunedSchedules(options: Readonly<Record<string, unknown>>, screen: Screen): Promise<Tuned | undefined> {
  const named = options['cache'] as string | undefined
  if (named === undefined && options['tuned'] !== true) return undefined
  const file = named ?? defaultCache(screen)
  if (named === undefined && await kindOf(file) === undefined)
    throw new InputError(`nothing was tuned here yet (${file}): run fusenet tune FILE.net`)
  const { adapters } = parseCache(await readText(file), file)
  const entries = adapters.filter(({ target }) => TARGET_NAMES.includes(target))
  const note = (text: string): void => {
    if (!screen.json) screen.note(screen.noteColors.dim(text))
  }
  if (adapters.length === 0) note(`${file} holds no schedules: fusenet tune FILE.net finds some`)
  for (const entry of adapters)
    if (!entries.includes(entry)) note(`${file} has schedules for ${plain(entry.target, 60)}, which this fusenet does not know`)
  const targets = [...new Set(entries.map((entry) => entry.target))]
  const found = await Promise.all(
    targets.map((target) => adapterFor(entries.filter((entry) => entry.target === target), options['threads'] as number | undefined)),
  )
  const chosen = found.filter((entry) => entry !== undefined)
  // What is for other machines is no reason to stop, where there is something for this one.
  if (chosen.length === 0 && entries.length > 0)
    throw new InputError(`${file} holds schedules for ${entries.map(nameAdapter).join(', ')}, and none of them is here`)
  const uses = new Map<string, ScheduleUse>()
  return {
    schedules: Object.fromEntries(chosen.map((entry) => [entry.target, schedulesOf(entry)])),
    get uses() {
      return [...uses.values()]
    },
    sayBatch: (batch) => {
      const text = batch === undefined ? undefined : sayBatches(chosen, batch, file)
      if (text !== undefined) note(text)
    },
    onSchedules: (use) => {
      const key = JSON.stringify(use)
      if (uses.has(key)) return
      uses.set(key, use)
      const entry = chosen.find(({ target }) => target === use.target)
      // A net that is compiled for one of two needs no word on the other.
      if (entry && (use.compiled || chosen.length === 1)) note(sayUse(use, nameAdapter(entry), file))
    },
  }
}

/** The batches at which schedules were measured, where the one of a net is not among them; undefined where nobody need know. */
export function sayBatches(entries: readonly AdapterSchedules[], batch: number, file: string): string | undefined {
  const batches = [...new Set(entries.flatMap(({ kernels }) => Object.values(kernels).map((kernel) => kernel.batch)))].sort((a, b) => a - b)
  if (batches.length === 0 || batches.includes(batch)) return undefined
  const known = batches.length > 3 ? `${batches.slice(0, 3).join(', ')}, ...` : batches.join(' and ')
  return `schedules of ${file} were measured at batch ${known}, and this is compiled for ${batch}, whose kernels may be others: fusenet tune --batch ${batch} measures them${
    batches.length === 1 ? `, --batch ${batches[0]!} here compiles for the other` : ''
  }`
}

/** Reasons that are told one by one. */
const MOST_REASONS = 3

/** What became of the schedules of an adapter. */
export const sayUse = (use: ScheduleUse, adapter: string, file: string): string => sayTaken(use, `schedules for ${adapter}, of ${file}`)

/** What became of the schedules of a bundle that is compiled again. `whole`: with all of its programs, so that what is for other kernels is of no use any more. */
function sayCarried(use: ScheduleUse, path: string, whole: boolean): string {
  const [first, ...reasons] = sayTaken(use, `schedules that ${path} was tuned with`).split('\n')
  const lost = whole && use.compiled && use.others > 0
    ? `; ${use.others} ${use.others === 1 ? 'is' : 'are'} for kernels that are others now: fusenet tune measures those` : ''
  return [`${first}${lost}`, ...reasons].join('\n')
}

/**
 * The compile options by which a bundle keeps the schedules that it was tuned with; what becomes of them is noted. What its manifest has that is no such
 * table, or of no target, is passed over.
 */
export function carriedSchedules(
  { schedules }: Manifest,
  path: string,
  whole: boolean,
  screen: Screen,
): Pick<CompileOptions, 'schedules' | 'onSchedules'> {
  const isTable = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
  const sound = Object.entries(schedules ?? {}).filter(([target, kernels]) =>
    TARGET_NAMES.includes(target) && isTable(kernels) && Object.values(kernels).every(isTable)
  )
  if (sound.length === 0) return {}
  const told = new Set<string>()
  return {
    schedules: Object.fromEntries(sound),
    onSchedules: (use) => {
      const text = sayCarried(use, path, whole)
      if (!screen.json && !told.has(text) && (use.compiled || whole)) screen.note(screen.noteColors.dim(text))
      told.add(text)
    },
  }
}

type ScheduleOptions = Pick<CompileOptions, 'schedules' | 'onSchedules'>

/** Schedules that are asked for, and for other targets those that a bundle keeps. */
export function joinSchedules(asked: ScheduleOptions, kept: ScheduleOptions): ScheduleOptions {
  const schedules = { ...kept.schedules, ...asked.schedules }
  if (Object.keys(schedules).length === 0) return {}
  return { schedules, onSchedules: (use) => (asked.schedules?.[use.target] ? asked : kept).onSchedules?.(use) }
}

function sayTaken({ target, compiled, used, refused }: ScheduleUse, whose: string): string {
  if (!compiled) return `${whose}: not used, this is not compiled for ${target}`
  const taken = used.length > 0 ? `${countOf(used.length, 'kernel')} computed by them`
    : refused.length > 0 ? 'none of them is used' : 'none for a kernel of this net where the compiler would choose another'
  if (refused.length === 0) return `${whose}: ${taken}`
  const reasons = refused.slice(0, MOST_REASONS).map(({ kernel, why }) => `  ${kernel}: ${plain(why)}`)
  const more = refused.length > MOST_REASONS ? [`  and ${refused.length - MOST_REASONS} more`] : []
  return [`${whose}: ${taken}; ${refused.length} passed over, which fusenet tune finds anew:`, ...reasons, ...more].join('\n')
}

/** The only adapter of a target, wherever it is: bundles are compiled for other machines too. Of several, the one that is here, if one is. */
async function adapterFor(entries: readonly AdapterSchedules[], threads: number | undefined): Promise<AdapterSchedules | undefined> {
  if (entries.length === 1) return entries[0]
  const { target } = entries[0]!
  const here = await adapterHere(target, threads)
  return here && adapterOf({ ...NO_SCHEDULES, adapters: entries }, target, here)
}
