import { elementCount } from '../../../bundle/sizes.ts'
import { activate } from '../activation.ts'
import { instead, type Made, type NetBuilder, showShape } from '../net-builder.ts'
import type { Options } from '../options.ts'

/** The section that a number means: from the first where it is not negative, else back from the one that says it. */
function sectionAt(net: NetBuilder, options: Options, number: number): Made | undefined {
  const index = number < 0 ? net.index + number : number
  const made = net.made[index]
  if (!made) {
    options.problem(
      `${number} means section ${index}, and ${index < 0 ? 'there is none' : `this is section ${net.index}`}`,
      `numbers from 0 to ${net.index - 1}, or from -1 to ${-net.index}`,
    )
  }
  if (made?.closed !== undefined) {
    options.problem(`reads section ${index}: ${made.closed}`)
    return undefined
  }
  return made
}

/** Nets that are about join some ten. */
const MOST_SECTIONS = 500

/** `[route]`: the outputs of other sections one after the other; of `groups` equal parts of each the one called `group_id`. */
export function route(net: NetBuilder, options: Options, x: Made): Made {
  const numbers = options.list('layers')
  if (!numbers) {
    if (!options.has('layers')) options.problem('has no layers=', 'write layers=-1,8: the sections that follow each other')
    return instead(x)
  }
  if (numbers.length > MOST_SECTIONS) {
    options.problem(`layers= names ${numbers.length} sections, more than ${MOST_SECTIONS}`)
    return instead(x)
  }
  const groups = options.count('groups', 1)
  const group = options.count('group_id', 0, 0)
  const all = numbers.map((n) => sectionAt(net, options, Math.trunc(n)))
  if (!all.every((made) => made !== undefined)) return instead(x)
  const made = groups === 1 ? all : all.map((each) => part(net, options, each, groups, group))
  const [first] = made as [Made]
  if (made.length === 1) return first
  const [, h, w] = first.map ?? []
  if (first.map && made.every(({ map }) => map?.[1] === h && map?.[2] === w)) {
    const maps = made.map((each) => net.asMap(options, each)!)
    const shape = [maps.reduce((n, { map }) => n + map[0], 0), h!, w!] as const
    return net.give(options, { value: net.layer(options, 'concat', maps.map(({ value }) => value)), shape, map: shape })
  }
  // Darknet lays the numbers side by side, and has no map any more.
  const rows = made.map((each) => net.asRow(options, each))
  const shape = [made.reduce((n, each) => n + elementCount(each.shape), 0)]
  return net.give(options, { value: net.layer(options, 'concat', rows), shape, map: undefined })
}

function part(net: NetBuilder, options: Options, x: Made, groups: number, group: number): Made {
  const input = net.asMap(options, x)
  if (!input) return x
  const [c, h, w] = input.map
  if (c % groups !== 0 || group >= groups) {
    options.problem(`groups=${groups}, group_id=${group}: ${c} channels have no such part`)
    return x
  }
  const size = c / groups
  const value = net.layer(options, 'slice', [input.value], { axis: 1, from: group * size, to: (group + 1) * size })
  return { value, shape: [size, h, w], map: [size, h, w] }
}

/**
 * `[shortcut]`: alpha x + beta y, y the output of another section. Where sizes differ Darknet adds the overlap: the channels that both have; of a
 * larger y every so many-th pixel, a smaller y spread over so many pixels, others of x as they are.
 */
export function shortcut(net: NetBuilder, options: Options, x: Made): Made {
  const from = options.list('from')
  const alpha = options.float('alpha', 1)
  const beta = options.float('beta', 1)
  if (!from) {
    if (!options.has('from')) options.problem('has no from=', 'write from=-3: the section that is added')
    return x
  }
  if ((options.text('weights_type') ?? 'none') !== 'none')
    options.problem('weights_type: sums with learned weights of later Darknets are not read')
  const others = from.map((n) => sectionAt(net, options, Math.trunc(n)))
  const input = net.asMap(options, x)
  if (!input || !others.every((made) => made !== undefined)) return x
  let value = input.value
  for (const other of others) {
    const y = net.asMap(options, other)
    if (!y) return x
    value = same(y.map, input.map)
      ? net.layer(options, 'add', [value, y.value], { coeff: alpha === 1 && beta === 1 ? undefined : [alpha, beta] })
      : addOverlap(net, options, { value, map: input.map }, y, alpha, beta)
  }
  return net.give(options, { value: activate(net, options, value, 'linear'), shape: input.map, map: input.map })
}

type Map3 = readonly [c: number, h: number, w: number]
const same = (a: Map3, b: Map3): boolean => a.every((d, i) => d === b[i])

/** x + (within the overlap) (alpha - 1) x + beta y. */
function addOverlap(
  net: NetBuilder,
  options: Options,
  x: { value: string; map: Map3 },
  y: { value: string; map: Map3 },
  alpha: number,
  beta: number,
): string {
  const [c2, h2, w2] = x.map
  const [c1, h1, w1] = y.map
  const stride = Math.floor(w1 / w2)
  const spread = Math.floor(w2 / w1)
  if (stride !== Math.floor(h1 / h2) || spread !== Math.floor(h2 / h1)) {
    options.problem(`${showShape(y.map)} and ${showShape(x.map)} differ otherwise in height than in width: Darknet stops there too`)
    return x.value
  }
  const overlap: Map3 = [Math.min(c1, c2), Math.min(h1, h2), Math.min(w1, w2)]
  const cut = (value: string, every: number, of: Map3): string => {
    let v = value
    let now: Map3 = of
    if (every > 1) {
      v = net.layer(options, 'max_pool', [v], { kernel: 1, stride: every })
      now = [of[0], Math.floor((of[1] - 1) / every) + 1, Math.floor((of[2] - 1) / every) + 1]
    }
    for (const [i, size] of overlap.entries()) if (size < now[i]!) v = net.layer(options, 'slice', [v], { axis: i + 1, from: 0, to: size })
    return v
  }
  const added = cut(y.value, Math.max(stride, 1), y.map)
  const [part, factor] = alpha === 1
    ? [added, beta]
    : [net.layer(options, 'add', [cut(x.value, Math.max(spread, 1), x.map), added], { coeff: [alpha - 1, beta] }), 1]
  let laid = part
  let now: Map3 = overlap
  if (spread > 1) {
    // Channels of zeros behind each other, then spread in depth: a pixel of y in the corner of each square, zeros elsewhere.
    const padded = net.layer(options, 'pad', [laid], { size: [0], channels: [0, overlap[0] * (spread * spread - 1)] })
    laid = net.layer(options, 'depth_to_space', [padded], { block: spread, order: 'dcr' })
    now = [overlap[0], overlap[1] * spread, overlap[2] * spread]
  }
  if (!same(now, x.map)) {
    const [c, h, w] = now
    laid = net.layer(options, 'pad', [laid], {
      size: h === h2 && w === w2 ? [0] : [0, h2 - h, 0, w2 - w],
      ...(c < c2 && { channels: [0, c2 - c] }),
    })
  }
  return net.layer(options, 'add', [x.value, laid], { coeff: factor === 1 ? undefined : [1, factor] })
}

/** `[scale_channels]` and `[sam]` of later Darknets: the map in front times the output of another section, a number a channel or a pixel. */
export function product(net: NetBuilder, options: Options, x: Made): Made {
  const from = options.list('from')
  if (!from) {
    if (!options.has('from')) options.problem('has no from=', 'write from=-3: the section that is multiplied with')
    return x
  }
  const other = sectionAt(net, options, Math.trunc(from[0]!))
  if (options.int('scale_wh', 0) !== 0) options.problem('scale_wh=1 is not read')
  if (!other) return x
  const a = net.asMap(options, x)
  const b = net.asMap(options, other)
  if (!a || !b) return x
  const isChannel = options.section.kind === 'scale_channels'
  if (!(isChannel ? a.map[0] === b.map[0] && elementCount(a.map) === a.map[0] : same(a.map, b.map)))
    options.problem(`${showShape(a.map)} and ${showShape(b.map)} do not fit together`)
  const y = activate(net, options, net.layer(options, 'mul', [b.value, a.value]), 'linear')
  return net.give(options, { value: y, shape: b.map, map: b.map })
}
