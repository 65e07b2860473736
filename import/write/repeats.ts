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
const MOST_INPUTS = 2
/** Calls that a block saves, if it is to be one. */
const LEAST_SAVED = 2

/** The parts of a net with its units and what repeats of them as regions. `mayHold`: layers that can be in a block. */
export function repeatedParts(parts: readonly Part[], wanted: ReadonlySet<string>, mayHold: (part: Part) => boolean): Part[] {
  let list = units(parts, wanted, mayHold)
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
  for (let start = 0; start < list.length; start++) {
    for (let end = start + 2; end <= Math.min(list.length, start + MOST_PARTS); end++) {
      if (!mayHold(list[end - 1]!) || !mayHold(list[start]!)) break
      if (!isClosed(list, start, end, lastReader)) continue
      const sequence = ids.slice(start, end)
      if (isPeriodic(sequence)) continue
      const key = `${sequence.join(',')} ${wiring(list.slice(start, end))}`
      const group = groups.get(key) ?? groups.set(key, []).get(key)!
      if (group.length === 0 || group.at(-1)!.end <= start) group.push({ start, end })
    }
  }
  let best: { readonly group: readonly Segment[]; readonly saved: number } | undefined
  for (const group of groups.values()) {
    const { start, end } = group[0]!
    // What comes in at one place is easier to read than what comes in at two.
    const saved = (group.length - 1) * (end - start - 1) / outerInputs(list.slice(start, end)).length
    if (group.length > 1 && saved > (best?.saved ?? LEAST_SAVED)) best = { group, saved }
  }
  return best && withRegions(list, best.group)
}

/**
 * Whether parts make one value for others, their last one's, from few, and are what a person would give a name: paths that part, and are
 * joined once, at the end. What is a chain stays one.
 */
function isClosed(list: readonly Part[], start: number, end: number, lastReader: ReadonlyMap<string, number>): boolean {
  for (let i = start; i < end - 1; i++) if ((lastReader.get(list[i]!.output) ?? -1) >= end) return false
  const segment = list.slice(start, end)
  const inputs = outerInputs(segment).length
  if (inputs === 0 || inputs > MOST_INPUTS || isActivation(segment[0]!) || segment.some(holdsJoin)) return false
  const joins = segment.filter((part) => part.layer && ENDS.has(part.layer.op) && tensorsOf(part).length > 1)
  if (joins.length !== 1) return false
  return segment.slice(segment.indexOf(joins[0]!) + 1).every((part) => part.layer && (isActivation(part) || AFFINE.has(part.layer.op)))
}

const holdsJoin = ({ parts = [] }: Part): boolean =>
  parts.some((part) => (part.layer ? ENDS.has(part.layer.op) && tensorsOf(part).length > 1 : holdsJoin(part)))

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
