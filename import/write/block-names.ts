import type { UniqueNames } from '../../compiler/unique-names.ts'
import { shortName } from './layer-names.ts'
import { type Part, tensorsOf } from './parts.ts'
import { isCall, wordOf } from './words.ts'

/** Names of modules that say nothing of what they do. */
const EMPTY = /^(?:|features?|layers?|blocks?|nets?|modules?|models?|body|backbone|seq|sequential|units?|m|conv|b|x|res|branch)$/i
/** More calls than these in a row make no name. */
const MOST_JOINED = 4

/**
 * What a block is called: as the instances are (`denselayer1`, `denselayer2`: `denselayer`), where that tells something, else as what it
 * does: `conv_bn_relu`, `residual`.
 */
export function blockName(instances: readonly Part[], unique: UniqueNames): string {
  const wanted = wordOf(sharedStem(instances) ?? deed(instances[0]!), 'block_')
  return unique.give(isCall(wanted) ? `${wanted}_block` : wanted)
}

function sharedStem(instances: readonly Part[]): string | undefined {
  const stems = new Set(instances.map(({ path }) => stemOf(path)))
  const [stem] = stems
  return stems.size === 1 && stem !== undefined && !EMPTY.test(stem) && stem.length >= 3 ? stem : undefined
}

/** `denselayer12` -> `denselayer`, `inception_3a` -> `inception`. */
const stemOf = (path: readonly string[]): string => {
  const name = path.filter((step) => !/^\d*$/.test(step)).at(-1) ?? ''
  return name.replace(/[._]?\d+[a-z]?$/i, '').replace(/[^A-Za-z]+$/, '')
}

/** What a block does, by its calls: `conv_bn_relu`, `residual`. */
export function deed(part: Part): string {
  const parts = part.parts!
  const ops = parts.map((one) => one.layer?.op ?? '')
  const isChain = parts.every((one, i) => i === 0 || (tensorsOf(one).length === 1 && one.inputs[0] === parts[i - 1]!.output))
  if (isChain && parts.length <= MOST_JOINED && !ops.includes('')) return ops.map(shortName).join('_')
  const last = parts.findLast((one) => tensorsOf(one).length > 1)
  if (last?.layer?.op === 'add') return tensorsOf(last).some((value) => part.inputs.includes(value)) ? 'residual' : 'projected_residual'
  if (last?.layer?.op === 'mul' && ops.some((op) => op.startsWith('global_') || op.startsWith('reduce_'))) return 'squeeze_excite'
  if (last?.layer?.op === 'concat') return tensorsOf(last).some((value) => part.inputs.includes(value)) ? 'dense' : 'branches'
  if (!isGrouped(part)) return 'stack'
  const first = parts.find(({ layer, parts: inner }) => inner || layer?.arguments['out'] !== undefined)
  return first && isGrouped(first) ? 'depthwise_separable' : 'inverted_bottleneck'
}

/** Whether some layer within sees parts of the channels alone: the middle of a block that is wide inside. */
const isGrouped = ({ parts = [], layer }: Part): boolean =>
  layer?.arguments['groups'] !== undefined && layer.arguments['groups'] !== 1 || parts.some(isGrouped)
