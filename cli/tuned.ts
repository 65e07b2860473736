import { homedir } from 'node:os'
import { join } from 'node:path'
import type { CompileOptions } from '../compiler/compile-options.ts'
import { type AdapterSchedules, adapterOf, nameAdapter, NO_SCHEDULES, parseCache, printCache, type ScheduleCache,
  schedulesOf } from '../measure/schedule-cache.ts'
import { InputError } from '../bundle/errors.ts'
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

/** The schedules that `--tuned` or `--cache FILE` ask for; undefined where neither does. */
export async function tunedSchedules(options: Readonly<Record<string, unknown>>, screen: Screen): Promise<CompileOptions['schedules']> {
  const named = options['cache'] as string | undefined
  if (named === undefined && options['tuned'] !== true) return undefined
  const file = named ?? defaultCache(screen)
  if (named === undefined && await kindOf(file) === undefined)
    throw new InputError(`nothing was tuned here yet (${file}): run fusenet tune FILE.net`)
  const { adapters } = parseCache(await readText(file), file)
  const targets = [...new Set(adapters.map((entry) => entry.target))]
  const chosen = await Promise.all(
    targets.map((target) =>
      adapterFor(adapters.filter((entry) => entry.target === target), file, options['threads'] as number | undefined)
    ),
  )
  if (!screen.json) { for (const entry of chosen) screen.note(screen.noteColors.dim(`schedules for ${nameAdapter(entry)}, of ${file}`)) }
  return Object.fromEntries(chosen.map((entry) => [entry.target, schedulesOf(entry)]))
}

/** The only adapter of a file, wherever it is: bundles are compiled for other machines too. Of several, the one that is here. */
async function adapterFor(entries: readonly AdapterSchedules[], file: string, threads: number | undefined): Promise<AdapterSchedules> {
  if (entries.length === 1) return entries[0]!
  const { target } = entries[0]!
  const here = await adapterHere(target, threads)
  const found = here && adapterOf({ ...NO_SCHEDULES, adapters: entries }, target, here)
  if (!found) throw new InputError(`${file} holds schedules for ${entries.map(nameAdapter).join(', ')}, and none of them is here`)
  return found
}
