import type { NetSummary } from '../../compiler/summary.ts'
import { type Family, familyOf, labelOf, parametersText, shapeText } from './labels.ts'
import { type Layout, layered, type LayoutEdge, type LayoutNode } from './layered.ts'
import type { Item } from './tree.ts'
import { countOf } from '../../bundle/plain.ts'

/*
 * Boxes with their places: each block is laid out by itself, then stands as one box in the block around it. Edges that cross the border
 * of a block end at a port on it.
 */

export interface Row {
  readonly text: string
  readonly family: Family
  /** The kernels that do its work, by number. */
  readonly kernels: readonly number[]
}

export interface Shape {
  readonly kind: 'box' | 'block' | 'input'
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly title: string
  /** Right of the title. */
  readonly note: string
  readonly count: number
  readonly rows: readonly Row[]
  readonly foot: string
  /** Results of the net that it gives: `output prob`. */
  readonly results: readonly string[]
}

export interface Scene {
  readonly width: number
  readonly height: number
  readonly shapes: readonly Shape[]
  /** SVG paths; `open` ends without an arrow: at the border of a block. */
  readonly edges: readonly { readonly path: string; readonly arrow: boolean }[]
  readonly inPorts: ReadonlyMap<string, number>
  readonly outPort: number
}

export const ROW = 19
export const FOOT = 16
export const HEAD = 24
const PAD = 12
/** The width of a letter, in pixels, on average, of a wide font: of text, and of what is written small. */
const TEXT = 6.7
export const SMALL = 5.9
const OUT = 'out'
const inId = (name: string): string => `in ${name}`

export interface SceneOptions {
  readonly net: NetSummary
  readonly kernelsOf: (layer: string) => readonly number[]
}

/** A drawing of items; `outs`: names of what is read outside of them. */
export function sceneOf(items: readonly Item[], outs: readonly string[], options: SceneOptions, columns?: number): Scene {
  const inner = new Map<number, Scene>()
  items.forEach((item, i) => {
    if (item.kind === 'block' && item.items.length > 0) inner.set(i, sceneOf(item.items, item.outs, options))
  })
  const shapes = items.map((item, i) => shapeOf(item, inner.get(i), options))
  const owner = new Map(items.flatMap((item, i) => item.all.map((name): [string, number] => [name, i])))
  const links = linksOf(items, owner)
  const outside = [...new Set(links.filter(({ from }) => from === undefined).map(({ name }) => name))]
  const nodes: LayoutNode[] = [
    ...outside.map((name) => ({ id: inId(name), width: 1, height: 0, first: true })),
    ...shapes.map(({ width, height }, i) => ({ id: String(i), width, height })),
    ...(outs.length > 0 ? [{ id: OUT, width: 1, height: 0, last: true }] : []),
  ]
  const edges = new Map<LayoutEdge, { name: string }>()
  for (const { from, to, name } of links) edges.set({ from: from === undefined ? inId(name) : String(from), to: String(to) }, { name })
  for (const name of new Set(outs.map((out) => owner.get(out))))
    if (name !== undefined) edges.set({ from: String(name), to: OUT }, { name: OUT })
  const raw = layered(nodes, [...edges.keys()])
  const { layout, shifts, cuts } = columns === undefined
    ? { layout: raw, shifts: new Map<string, number>(), cuts: new Map<string, number>() }
    : inColumns(raw, nodes, [...edges.keys()], columns)
  const placed: Shape[] = []
  const paths: { path: string; arrow: boolean }[] = []
  shapes.forEach((shape, i) => {
    const { x, y } = layout.nodes.get(String(i))!
    placed.push({ ...shape, x, y })
    const scene = inner.get(i)
    if (!scene) return
    const [dx, dy] = [x + (shape.width - scene.width) / 2, y + HEAD + PAD / 2]
    for (const s of scene.shapes) placed.push({ ...s, x: s.x + dx, y: s.y + dy })
    for (const { path, arrow } of scene.edges) paths.push({ path: moved(path, dx, dy), arrow })
  })
  const port = (id: string, name: string | undefined): { x: number; top: number; bottom: number } => {
    const place = layout.nodes.get(id)!
    if (id === OUT || id.startsWith('in ')) return { x: place.x, top: place.y, bottom: place.y }
    const shape = shapes[Number(id)]!
    const scene = inner.get(Number(id))
    const left = place.x + (scene ? (shape.width - scene.width) / 2 : 0)
    const inside = scene && name !== undefined ? scene.inPorts.get(name) : scene?.outPort
    const stack = shape.count > 1 ? STACK : 0
    return { x: inside === undefined ? place.x + shape.width / 2 : left + inside, top: place.y, bottom: place.y + shape.height + stack }
  }
  for (const [edge, { name }] of edges) {
    const [start, end] = [port(edge.from, undefined), port(edge.to, name)]
    const cut = cuts.get(edge.to)
    const arrow = edge.to !== OUT && !inner.has(Number(edge.to))
    if (cut !== undefined && shifts.get(edge.from) !== shifts.get(edge.to)) paths.push({ path: aroundPath(start, end, cut), arrow: true })
    else paths.push({ path: curve(start.x, start.bottom, layout.bends.get(edge) ?? [], end.x, end.top), arrow })
  }
  return {
    width: layout.width,
    height: layout.height,
    shapes: placed,
    edges: paths,
    inPorts: new Map(outside.map((name) => [name, layout.nodes.get(inId(name))!.x])),
    outPort: layout.nodes.get(OUT)?.x ?? layout.width / 2,
  }
}

/** The distance by which the sheet behind a repeated box is shifted. */
export const STACK = 5

interface Link {
  readonly from: number | undefined
  readonly to: number
  readonly name: string
}

/** The edges between items. An edge to a repeated item leads to the inputs of its first repetition. */
function linksOf(items: readonly Item[], owner: ReadonlyMap<string, number>): Link[] {
  const found = new Map<string, Link>()
  items.forEach((item, to) => {
    if (item.kind === 'input') return
    for (const layer of item.layers)
      for (const name of layer.inputs) {
        const from = owner.get(name)
        if (from === to || (from === undefined && item.all.includes(name))) continue
        const key = `${from ?? name} ${to}`
        if (!found.has(key)) found.set(key, { from, to, name })
      }
  })
  return [...found.values()]
}

function shapeOf(item: Item, inner: Scene | undefined, { net, kernelsOf }: SceneOptions): Shape {
  const base = { x: 0, y: 0, count: item.count, note: '', rows: [] as Row[], foot: '', results: [] as string[], title: '' }
  if (item.kind === 'input')
    return {
      ...base,
      kind: 'input',
      title: item.name,
      note: item.text,
      width: Math.max(90, TEXT * (item.name.length + item.text.length) + 40),
      height: 26,
    }
  const results = net.outputs.filter(({ layer }) => item.all.includes(layer)).map((
    { name, role },
  ) => (role === 'loss' && name === 'loss' ? 'loss' : `${role} ${name}`))
  const final = net.layers.find(({ name }) => name === item.last[0]) ?? item.layers.at(-1)!
  const foot = [shapeText(final.shape), parametersText(net.layers.filter(({ name }) => item.all.includes(name)), 1)].filter((text) =>
    text !== ''
  ).join('  ·  ')
  if (item.kind === 'box') {
    const rows = item.layers.map((layer): Row => ({ text: labelOf(layer), family: familyOf(layer), kernels: kernelsOf(layer.name) }))
    const badge = Math.max(...rows.map((row) => (row.kernels.length > 0 ? 10 + 8 * String(row.kernels.join(' ')).length : 0)))
    const width = Math.max(
      96,
      ...rows.map((row) => TEXT * row.text.length + 30 + badge),
      SMALL * foot.length + 24,
      ...results.map((text) => TEXT * text.length + 30),
    ) + (item.count > 1 ? 26 : 0)
    return { ...base, kind: 'box', rows, foot, results, width, height: ROW * rows.length + (foot ? FOOT : 0) + ROW * results.length + 6 }
  }
  const note = item.names.length === 1 ? item.names[0]! : `${item.names[0]} … ${item.names.at(-1)}`
  const head = TEXT * item.block.length + SMALL * note.length + 40 + (item.count > 1 ? 34 : 0)
  const closed = inner ? '' : `${countOf(item.layers.length, 'layer')}${item.count > 1 ? ' each' : ''}`
  const bottom = [closed, foot].filter((text) => text !== '').join('  ·  ')
  return {
    ...base,
    kind: 'block',
    title: item.block,
    note,
    foot: bottom,
    results,
    width: Math.max(head, (inner?.width ?? 0) + 2 * PAD, SMALL * bottom.length + 24),
    height: HEAD + (inner ? inner.height + PAD : 0) + FOOT + 4 + ROW * results.length,
  }
}

/** Draws an edge from above down through lanes, which bends between ranks alone. */
function curve(x1: number, y1: number, bends: readonly { x: number; top: number; bottom: number }[], x2: number, y2: number): string {
  let path = `M ${r(x1)} ${r(y1)}`
  let [x, y] = [x1, y1]
  const to = (nx: number, ny: number): void => {
    const half = (y + ny) / 2
    path += Math.abs(nx - x) < 0.5 ? ` L ${r(nx)} ${r(ny)}` : ` C ${r(x)} ${r(half)} ${r(nx)} ${r(half)} ${r(nx)} ${r(ny)}`
    ;[x, y] = [nx, ny]
  }
  for (const bend of bends) {
    to(bend.x, bend.top)
    if (bend.bottom > bend.top) {
      path += ` L ${r(bend.x)} ${r(bend.bottom)}`
      y = bend.bottom
    }
  }
  to(x2, y2)
  return path
}

/** Draws an edge to the next column: down, between the columns, and in from above. */
function aroundPath(from: { x: number; bottom: number }, to: { x: number; top: number }, between: number): string {
  const [low, high] = [from.bottom + 12, to.top - 14]
  return `M ${r(from.x)} ${r(from.bottom)} L ${r(from.x)} ${r(low)} L ${r(between)} ${r(low)} L ${r(between)} ${r(high)} L ${r(to.x)} ${
    r(high)
  } L ${r(to.x)} ${r(to.top)}`
}

const r = (n: number): string => String(Math.round(n * 10) / 10)

const moved = (path: string, dx: number, dy: number): string => {
  let k = 0
  return path.replace(/-?\d+(\.\d+)?/g, (n) => r(Number(n) + (k++ % 2 === 0 ? dx : dy)))
}

const COLUMN_GAP = 56
const TOP = 20

/** Cuts a long drawing into columns of about `wanted` height, where one edge alone goes on. */
function inColumns(
  layout: Layout,
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  wanted: number,
): { layout: Layout; shifts: Map<string, number>; cuts: Map<string, number> } {
  const sizes = new Map(nodes.map((node) => [node.id, node]))
  const rankOf = new Map(layout.ranks.flatMap((ids, rank) => ids.map((id): [string, number] => [id, rank])))
  const each = layout.height / Math.max(1, Math.round(layout.height / wanted))
  const starts = [0]
  let top = 0
  layout.ranks.forEach((ids, rank) => {
    if (ids.length === 0 || rank === 0) return
    const bottom = Math.max(...ids.map((id) => layout.nodes.get(id)!.y + sizes.get(id)!.height))
    const crossing = edges.filter(({ from, to }) => rankOf.get(from)! < rank && rankOf.get(to)! >= rank)
    const clean = crossing.length === 1 && rankOf.get(crossing[0]!.from) === rank - 1 && rankOf.get(crossing[0]!.to) === rank
    if (clean && bottom - top > each * 1.05) {
      starts.push(rank)
      top = Math.min(...ids.map((id) => layout.nodes.get(id)!.y))
    }
  })
  if (starts.length === 1) return { layout, shifts: new Map(), cuts: new Map() }
  const places = new Map<string, { x: number; y: number }>()
  const shifts = new Map<string, number>()
  const cuts = new Map<string, number>()
  const moves = new Map<number, { dx: number; dy: number }>()
  let left = 0
  let height = 0
  starts.forEach((start, column) => {
    const ids = layout.ranks.slice(start, starts[column + 1]).flat()
    const low = Math.min(...ids.map((id) => layout.nodes.get(id)!.x))
    const high = Math.max(...ids.map((id) => layout.nodes.get(id)!.x + sizes.get(id)!.width))
    const lanes = [...layout.bends].filter(([{ from }]) => ids.includes(from)).flatMap(([, bends]) => bends.map(({ x }) => x))
    const [from, to] = [Math.min(low, ...lanes), Math.max(high, ...lanes)]
    const y = Math.min(...ids.map((id) => layout.nodes.get(id)!.y))
    const [dx, dy] = [left - from, TOP - y]
    for (const id of ids) {
      const at = layout.nodes.get(id)!
      places.set(id, { x: at.x + dx, y: at.y + dy })
      shifts.set(id, column)
      height = Math.max(height, at.y + dy + sizes.get(id)!.height)
    }
    moves.set(column, { dx, dy })
    if (column > 0) { for (const id of layout.ranks[start]!) cuts.set(id, left - COLUMN_GAP / 2) }
    left += to - from + COLUMN_GAP
  })
  const bends = new Map([...layout.bends].map(([edge, list]) => {
    const { dx, dy } = moves.get(shifts.get(edge.from)!)!
    return [edge, list.map(({ x, top: t, bottom }) => ({ x: x + dx, top: t + dy, bottom: bottom + dy }))]
  }))
  return { layout: { width: left - COLUMN_GAP, height: height + TOP, nodes: places, bends, ranks: layout.ranks }, shifts, cuts }
}
