import { InputError } from '../bundle/errors.ts'
import type { Manifest, TensorData } from '../bundle/format.ts'
import { matchNames } from '../bundle/name-patterns.ts'
import { checkOptions, list, noBundle } from '../bundle/options.ts'
import { countOf, isNamed, plain } from '../bundle/plain.ts'
import { showShape } from '../bundle/sizes.ts'
import { matchStatistics } from './match-statistics.ts'
import { copyTensors, type Tensors } from './tensors.ts'

/** A parameter, or a tensor of the weights, and what became of it. */
export interface MatchedWeight {
  readonly name: string
  readonly shape: readonly number[]
  /** The reason why a tensor was not taken, or how it was converted. */
  readonly why?: string
}

/** A matching of the weights of another net to the parameters of this one: those of the same name and shape. */
export interface WeightsMatch {
  readonly taken: readonly MatchedWeight[]
  /** They start by their initializers. */
  readonly fresh: readonly MatchedWeight[]
  /** Tensors that have no place in the net. */
  readonly left: readonly MatchedWeight[]
  /** The weights that were taken, for `open`. */
  readonly weights: ReadonlyMap<string, TensorData>
}

/**
 * Weights of another net for this one, by name: for transfer learning, `open(bundle, { weights: matchWeights(bundle, old).weights })`. `fresh`: patterns of
 * parameters that start anew all the same (as for `freeze`). Running statistics are converted where the nets store them in other forms. Throws InputError where nothing fits, and for patterns that mean nothing.
 */
export function matchWeights(
  bundle: { readonly manifest: Pick<Manifest, 'parameters'> },
  weights: Tensors,
  options: { readonly fresh?: readonly string[] } = {},
): WeightsMatch {
  if (!isNamed((bundle as typeof bundle | undefined)?.manifest))
    throw noBundle(bundle)
  const { parameters } = bundle.manifest
  const there = copyTensors(weights, 'weights', (name) => parameters.find((p) => p.name === name)?.shape)
  const known = new Map(parameters.map(({ name, shape }) => [name, showShape(shape)]))
  const { tensors: given, converted, refused } = matchStatistics(there, known)
  const { fresh: anew = [] } = checkOptions('matchWeights', options, { fresh: list })
  const { names: renewed, problems } = matchNames(anew, parameters.map(({ name }) => name))
  if (problems.length > 0) throw new InputError(problems.map((problem) => `fresh: ${problem}`).join('\n'))

  const taken: MatchedWeight[] = []
  const fresh: MatchedWeight[] = []
  const found = new Map<string, TensorData>()
  const strangers = [...given].filter(([name]) => !known.has(name))
  for (const { name, shape } of parameters) {
    const tensor = given.get(name)
    const same = tensor && showShape(tensor.shape) === showShape(shape)
    const torch = tensor ? undefined : torchNames(name).find((other) => given.has(other))
    const alike = tensor ? [] : strangers.filter(([other, { shape: its }]) =>
      kindOf(other) === kindOf(name) && showShape(its) === showShape(shape)
    )
    if (same && !renewed.has(name)) {
      const how = converted.get(name)
      taken.push({ name, shape, ...(how !== undefined && { why: how }) })
      found.set(name, tensor)
    } else fresh.push({
        name,
        shape,
        why: same ? 'asked for'
          : refused.has(name) ? refused.get(name)!
          : tensor ? `it is ${showShape(tensor.shape)} there`
          : `there is none${
            torch !== undefined ? `: PyTorch calls it ${torch}, which is to be renamed`
              : alike.length === 1 ? ` (${plain(alike[0]![0], 60)} has this shape)` : ''
          }`,
      })
  }
  const left = [...there].filter(([name]) => !found.has(name)).map(([name, { shape }]): MatchedWeight => ({
    name: plain(name, 200),
    shape,
    why: !known.has(name) ? 'the net has none of this name'
      : refused.has(name) ? refused.get(name)!
      : renewed.has(name) ? 'fresh is asked for' : `it is ${showShape(parameters.find((p) => p.name === name)!.shape)} here`,
  }))
  if (taken.length === 0 && fresh.some(({ why }) => why === 'asked for'))
    throw new InputError('fresh: nothing of these weights would be taken, for all that fits is asked for fresh')
  if (taken.length === 0)
    throw new InputError(
      `none of these weights fits the net: it has ${some(parameters)}; they are ${
        some([...given].map(([name, { shape }]) => ({ name: plain(name, 60), shape })))
      }`,
    )
  return { taken, fresh, left, weights: found }
}

/** PyTorch's normalizations call gamma `weight` and beta `bias`. */
const torchNames = (name: string): string[] =>
  [name.replace(/\.gamma$/, '.weight'), name.replace(/\.beta$/, '.bias')].filter((other) => other !== name)

/** `weight` of `conv1.weight`. */
const kindOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

const MOST_SHOWN = 4
const some = (entries: readonly { readonly name: string; readonly shape: readonly number[] }[]): string =>
  entries.slice(0, MOST_SHOWN).map(({ name, shape }) => `${name} ${showShape(shape)}`).join(', ') +
  (entries.length > MOST_SHOWN ? `, ... (${entries.length})` : entries.length === 0 ? 'nothing' : '')

/** Says in a line, for people, which weights were taken. */
export function sayMatch({ taken, fresh, left }: WeightsMatch): string {
  const told = (entries: readonly MatchedWeight[]): string =>
    entries.slice(0, MOST_SHOWN).map(({ name, why }) => `${name}: ${why}`).join('; ') + (entries.length > MOST_SHOWN ? '; ...' : '')
  return `weights: ${taken.length} of ${countOf(taken.length + fresh.length, 'parameter')} ${
    taken.length + fresh.length === 1 ? 'is' : 'are'
  } taken`
    + (taken.some(({ why }) => why !== undefined) ? `, of which are converted: ${told(taken.filter(({ why }) => why !== undefined))}` : '')
    + (fresh.length > 0 ? `, ${fresh.length} fresh (${told(fresh)})` : '') +
    (left.length > 0 ? `, ${countOf(left.length, 'tensor')} left over (${told(left)})` : '')
}
