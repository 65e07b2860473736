import { InputError } from '../../bundle/errors.ts'
import type { Manifest } from '../../bundle/format.ts'
import { identityOf } from '../../bundle/training-identity.ts'
import { type Contradiction, contradictions, sayContradiction } from '../../runtime/identity.ts'
import type { TrainChoices } from './choices.ts'
import type { Found } from './snapshots.ts'
import { quoted } from '../../bundle/quoted.ts'

/**
 * The options of a resumed training: those that it began with, and its length, which may change. Throws InputError for options that
 * contradict the snapshot, naming both values.
 */
export function goOn({ path, snapshot, choices }: Found, given: TrainChoices): TrainChoices {
  const { batch, style, stats = 'batch', data } = snapshot.identity!
  const was: { readonly [name in keyof TrainChoices]: unknown } = {
    batch,
    seed: snapshot.seed,
    style,
    stats,
    precise: choices.precise ?? false,
    limit: choices.limit ?? `all ${data?.samples ?? ''} samples`,
    // How long a training waits for a better test may change, as its length may; whether it waits may not.
    validation: choices.validation ?? 'none',
    best: choices.best ?? 'none',
    ...(choices.best === undefined && { patience: 'none' }),
  }
  const same = (name: keyof TrainChoices): boolean =>
    given[name] === was[name] || (name === 'best' && choices.best?.replace(/:.*/, '') === given.best) ||
    (name === 'limit' && choices.limit === undefined && given.limit! >= (data?.samples ?? Infinity))
  const wrong = (Object.keys(was) as (keyof TrainChoices)[]).filter((name) => given[name] !== undefined && !same(name))
  if (wrong.length > 0)
    throw refusal(
      path,
      wrong.map((name) => `--${name} ${String(given[name])}: it has ${String(was[name])}`),
      'leave out what it has otherwise',
    )
  // A new length replaces the old one, in whichever unit it was told.
  const { epochs, steps, ...kept } = choices
  return { ...kept, ...(given.epochs === undefined && given.steps === undefined && { epochs, steps }), ...given }
}

/** Refuses a net, or a setting of its file, that is not the training's. */
export function checkText(file: string, manifest: Manifest, { path, snapshot, choices }: Found, now: TrainChoices): void {
  const here = identityOf(manifest, now.batch ?? manifest.train?.batch ?? 1, { stats: now.stats })
  const found = contradictions(here, { ...snapshot.identity!, data: undefined }).map((one) => `${file}: ${sayContradiction(one)}`)
  const seed = manifest.train?.seed
  if (choices.seed === undefined && now.seed === undefined && seed !== snapshot.seed)
    found.push(`${file}: seed is ${seed} here, and ${snapshot.seed} in that training`)
  if (found.length > 0) throw refusal(path, found, 'name the net as it was')
}

/** The error for data that contradict the snapshot; data are known later than options. */
export const otherData = (path: string, name: string, found: readonly Contradiction[]): InputError =>
  refusal(path, found.map((one) => `${name}: ${sayContradiction(one)}`), 'name the data as they were')

const refusal = (path: string, wrong: readonly string[], wayOut: string): InputError =>
  new InputError(
    `this contradicts the training of ${path}, which would no longer be the same:\n  ${
      wrong.join('\n  ')
    }\n${wayOut}, or start a new training from its parameters: --weights ${quoted(path)} instead of --resume`,
  )
