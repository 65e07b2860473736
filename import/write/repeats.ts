import { deed } from './block-names.ts'
import { shortName } from './layer-names.ts'
import { outerInputs, type Part, region, tensorsOf } from './parts.ts'
import { Kinds } from './sameness.ts'

/*
 * Blocks of nets whose names tell nothing of modules: Caffe's, Darknet's, ONNX files of older exporters. First the units that all of them
 * are made of (convolution, normalization, activation), then what repeats of units, joined by sums and concatenations.
 */

const LINEAR = new Set(['conv', 'deconv', 'fc'])
const AFFINE = new Set(['batch_norm', 'scale', 'bias', 'group_norm', 'instance_norm'])
/** Calls in which paths end. */
const ENDS = new Set(['add', 'concat'])
/** Longer repetitions are not looked for. */
const MOST_PARTS = 40
/** The length of a net beyond which nothing is looked for: that takes the square of it. */
const MOST_SEARCHED = 3000
const MOST_INPUTS = 2
/** Calls that a block saves, if it is to be one. */
const LEAST_SAVED = 2

/** The parts of a net with its units and what repeats of them as regions. `mayHold`: layers that can be in a block. */
export function repeatedParts(parts: readonly Part[], wanted: ReadonlySet<string>, mayHold: (part: Part) => boolean): Part[] {
  let list = units(parts, wanted, mayHold)
  if (list.length > MOST_SEARCHED) return list
  for (;;) {
    const found = bestRepeat(list, wanted, mayHold)
    if (!found) return list
    list = found
  }
}

// ---- units -------------------------------------------------------------------------------------------------------------

function units(parts: readonly Part[], wanted: ReadonlySet<string>, mayHold: (part: Part) => boolean): Part[] {
  const readers = readersOf(parts)
  const taken = new Set<Part>()
  const regions = new Map<Part, Part>()
  for (const part of parts) {
    if (!part.layer || !LINEAR.has(part.layer.op) || tensorsOf(part).length !== 1 || !mayHold(part)) continue
    const members = [part]
    for (;;) {
      const last = members.at(-1)!
      const [next, ...others] = readers.get(last.output) ?? []
      const isNext = next?.layer && others.length === 0 && !wanted.has(last.output) && tensorsOf(next).length === 1 && mayHold(next) &&
        (AFFINE.has(next.layer.op) || isActivation(next))
      if (!isNext) break
      members.push(next)
      // Behind its activation a unit ends.
      if (isActivation(next)) break
    }
    if (!members.some(({ layer }) => AFFINE.has(layer!.op)) || !belongTogether(members)) continue
    for (const one of members) taken.add(one)
    const inner = members.map((one) => ({ ...one, path: [shortName(one.layer!.op)], own: one.path }))
    regions.set(members.at(-1)!, region(part.path, inner, members.at(-1)!.output))
  }
  return parts.flatMap((part) => (regions.has(part) ? [regions.get(part)!] : taken.has(part) ? [] : [part]))
}

function readersOf(parts: readonly Part[]): Map<string, Part[]> {
  const readers = new Map<string, Part[]>()
  for (const part of parts) for (const value of tensorsOf(part)) readers.set(value, [...readers.get(value) ?? [], part])
  return readers
}

const isActivation = ({ layer }: Part): boolean =>
  /relu|^(sigmoid|tanh|elu|selu|celu|mish|silu|gelu|hard_\w+|softplus|clip)$/.test(layer?.op ?? '')

/**
 * Whether names allow it: layers have none, or none but what a tool counted; or they are the same but for the kind of the layer (`conv1`,
 * `bn1`, `scale1`; `res2a_branch2a`, `bn2a_branch2a`; `conv1`, `conv1_bn`).
 */
function belongTogether(members: readonly Part[]): boolean {
  const names = members.filter(({ layer }) => !isActivation({ layer } as Part)).map(({ path }) => path.join('_'))
  const [first = ''] = names
  const rests = new Set(names.map((name) => name.replace(/^[A-Za-z]+/, '')))
  return (rests.size === 1) || names.every((name) => name === '' || name.startsWith(first))
}

// ---- what repeats ------------------------------------------------------------------------------------------------------

interface Segment {
  readonly start: number
  readonly end: number
}

function bestRepeat(list: readonly Part[], wanted: ReadonlySet<string>, mayHold: (part: Part) => boolean): Part[] | undefined {
  const kinds = new Kinds()
  const numbers = new Map<string, number>()
  const ids = list.map((part) => {
    const key = kinds.key(part)
    return numbers.get(key) ?? numbers.set(key, numbers.size).get(key)!
  })
  const lastReader = new Map<string, number>()
  list.forEach((part, i) => {
    for (const value of tensorsOf(part)) lastReader.set(value, i)
  })
  for (const value of wanted) lastReader.set(value, Infinity)
  const groups = new Map<string, Segment[]>()
  const blocked = list.map((part) => !mayHold(part) || holdsJoin(part))
  for (let start = 0; start < list.length; start++) {
    if (blocked[start] || isActivation(list[start]!)) continue
    /** The last reader of what the parts before the last one make. */
    let last = isJoin(list[start]!) ? Infinity : lastReader.get(list[start]!.output) ?? -1
    let isJoined = false
    for (let end = start + 2; end <= Math.min(list.length, start + MOST_PARTS) && last < Infinity; end++) {
      const part = list[end - 1]!
      // Paths are joined once; behind that come normalization and activation alone.
      if (blocked[end - 1] || (isJoined && !isTail(part))) break
      isJoined ||= isJoin(part)
      if (isJoined && last < end && isSmall(list.slice(start, end))) {
        const sequence = ids.slice(start, end)
        const key = `${sequence.join(',')} ${wiring(list.slice(start, end))}`
        const group = groups.get(key) ?? groups.set(key, []).get(key)!
        if (!isPeriodic(sequence) && (group.length === 0 || group.at(-1)!.end <= start)) group.push({ start, end })
      }
      last = Math.max(last, lastReader.get(part.output) ?? -1)
    }
  }
  let best: { readonly group: readonly Segment[]; readonly saved: number } | undefined
  for (const group of groups.values()) {
    if (group.length < 2) continue
    const { start, end } = group[0]!
    // What comes in at one place is easier to read than what comes in at two.
    const saved = (group.length - 1) * (end - start - 1) / outerInputs(list.slice(start, end)).length
    if (saved > (best?.saved ?? LEAST_SAVED)) best = { group, saved }
  }
  return best && withRegions(list, best.group)
}

/** Whether so few values come in that a block may take them. */
function isSmall(segment: readonly Part[]): boolean {
  const inputs = outerInputs(segment).length
  return inputs > 0 && inputs <= MOST_INPUTS
}

const isJoin = (part: Part): boolean => part.layer !== undefined && ENDS.has(part.layer.op) && tensorsOf(part).length > 1
const isTail = (part: Part): boolean => part.layer !== undefined && (isActivation(part) || AFFINE.has(part.layer.op))
const holdsJoin = ({ parts = [] }: Part): boolean => parts.some((part) => isJoin(part) || holdsJoin(part))

const isPeriodic = (sequence: readonly number[]): boolean =>
  Array.from({ length: Math.floor(sequence.length / 2) }, (_, i) => i + 1).some((period) =>
    sequence.length % period === 0 && sequence.every((id, i) => id === sequence[i % period])
  )

/** What each part reads, by its place in the segment or among what comes from outside. */
function wiring(segment: readonly Part[]): string {
  const outside = outerInputs(segment)
  const made = new Map(segment.map(({ output }, i) => [output, i]))
  return segment.map(({ inputs }) =>
    inputs.map((input) => (typeof input === 'number' ? `=${input}` : made.has(input) ? made.get(input)! : `<${outside.indexOf(input)}`))
      .join(' ')
  ).join(';')
}

function withRegions(list: readonly Part[], group: readonly Segment[]): Part[] {
  const segments = group.map(({ start, end }) => list.slice(start, end))
  const stems = segments.map((segment) => stemOf(segment))
  const rests = segments.map((segment, i) => segment.map(({ path }) => path.join('_').slice(stems[i]?.length ?? 0).replace(/^[_./]+/, '')))
  const hasNames = stems.every((stem) => stem !== undefined) && new Set(stems).size === stems.length &&
    new Set(rests.map((rest) => rest.filter((_, i) => isNamed(segments[0]![i]!)).join(' '))).size === 1
  const kind = deed(region([], segments[0]!, segments[0]!.at(-1)!.output))
  const before = list.filter(({ path, parts }) => parts && path[0]?.startsWith(kind)).length
  const regions = segments.map((segment, i) => {
    const counts = new Map<string, number>()
    const inner = segment.map((part, j): Part => {
      if (hasNames) return { ...part, path: [rests[i]![j]!], own: part.path }
      const short = part.layer ? shortName(part.layer.op) : shortName(part.parts![0]!.layer?.op ?? 'block')
      const count = (counts.get(short) ?? 0) + 1
      counts.set(short, count)
      return { ...part, path: [`${short}${count}`], own: part.path }
    })
    return region([hasNames ? stems[i]! : `${kind}${before + i + 1}`], inner, segment.at(-1)!.output)
  })
  return list.flatMap((part, at) => {
    const i = group.findIndex(({ start, end }) => start <= at && at < end)
    return i < 0 ? [part] : at === group[i]!.start ? [regions[i]!] : []
  })
}

const isNamed = (part: Part): boolean => part.path.some((step) => step !== '')

/** What the names of a segment begin with alike, up to a sign between words: `res2a` of `res2a_branch2a`, `res2a_branch2b`. */
function stemOf(segment: readonly Part[]): string | undefined {
  const names = segment.filter(isNamed).map(({ path }) => path.join('_'))
  if (names.length < 2) return undefined
  let common = names[0]!
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1)
  const stem = /^(.*[A-Za-z0-9])[_./]/.exec(
    common + (names.every((name) => name === common || /^[_./]/.test(name.slice(common.length))) ? '_' : ''),
  )?.[1]
  return stem !== undefined && /\d/.test(stem) && stem.length >= 3 ? stem : undefined
}
