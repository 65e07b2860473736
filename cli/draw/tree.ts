import type { LayerSummary, NetSummary } from '../../compiler/summary.ts'

/*
 * A net as boxes within boxes: layers that follow each other stand in one box, instances of blocks hold theirs, and what repeats is
 * drawn once with its count.
 */

/** Layers in a row, a line each. */
export interface Box {
  readonly kind: 'box'
  readonly layers: readonly LayerSummary[]
  readonly count: number
  /** All layers that a folded item stands for, also those that are not drawn. */
  readonly all: readonly string[]
  /** The layers that others read as its result. */
  readonly last: readonly string[]
}

export interface BlockBox {
  readonly kind: 'block'
  readonly block: string
  readonly names: readonly string[]
  /** Its layers that are read outside. */
  readonly outs: readonly string[]
  /** Empty: closed. */
  readonly items: readonly Item[]
  readonly count: number
  readonly all: readonly string[]
  readonly last: readonly string[]
  readonly layers: readonly LayerSummary[]
}

export interface InputBox {
  readonly kind: 'input'
  readonly name: string
  readonly text: string
  readonly count: 1
  readonly all: readonly string[]
  readonly last: readonly string[]
}

export type Item = Box | BlockBox | InputBox

export interface TreeOptions {
  /** Blocks deeper than this are closed. */
  readonly depth: number
}

/** A box of so few layers says more open. */
const SHORT = 3
const WEIGHED = new Set(['conv', 'deconv', 'fc'])

/** The boxes of a net, in the order of its layers. */
export function treeOf(net: NetSummary, options: TreeOptions): readonly Item[] {
  const readers = new Map<string, string[]>()
  for (const layer of net.layers) for (const from of layer.inputs) readers.set(from, [...(readers.get(from) ?? []), layer.name])
  const inputs = net.inputs.map(({ name, shape, classes }): InputBox => ({
    kind: 'input',
    name,
    text: classes === undefined ? `[${shape.slice(shape[0] === 'n' ? 1 : 0).join(', ')}]` : `${classes} classes`,
    count: 1,
    all: [name],
    last: [name],
  }))
  return folded([...inputs, ...level(net.layers, 0, readers, options)], net)
}

type Open = LayerSummary | { readonly name: string; readonly block: string; readonly layers: LayerSummary[] }
const isLayer = (entry: Open): entry is LayerSummary => 'op' in entry

function level(
  layers: readonly LayerSummary[],
  depth: number,
  readers: ReadonlyMap<string, readonly string[]>,
  options: TreeOptions,
): Item[] {
  const entries: Open[] = []
  const blocks = new Map<string, Extract<Open, { block: string }> & { layers: LayerSummary[] }>()
  for (const layer of layers) {
    const at = layer.blocks[depth]
    const known = at && blocks.get(at.name)
    if (!at) entries.push(layer)
    else if (known) known.layers.push(layer)
    else {
      const made = { ...at, layers: [layer] }
      blocks.set(at.name, made)
      entries.push(made)
    }
  }
  const plain = entries.flatMap((entry): readonly Open[] => (!isLayer(entry) && isShort(entry.layers) ? entry.layers : [entry]))
  const items: Item[] = []
  let row: LayerSummary[] = []
  const close = (): void => {
    if (row.length > 0) items.push({ kind: 'box', layers: row, count: 1, all: row.map(({ name }) => name), last: [row.at(-1)!.name] })
    row = []
  }
  for (const entry of plain) {
    if (!isLayer(entry)) {
      close()
      const inner = entry.layers
      const outside = inner.filter(({ name }) =>
        (readers.get(name) ?? []).some((reader) => !inner.some((l) => l.name === reader)) || (readers.get(name) ?? []).length === 0
      )
      items.push({
        kind: 'block',
        block: entry.block,
        names: [entry.name],
        count: 1,
        all: inner.map(({ name }) => name),
        last: outside.map(({ name }) => name),
        outs: outside.map(({ name }) => name),
        layers: inner,
        items: depth < options.depth ? level(inner, depth + 1, readers, options) : [],
      })
      continue
    }
    const before = row.at(-1)
    const follows = before && entry.inputs.length === 1 && entry.inputs[0] === before.name && readers.get(before.name)!.length === 1
    const full = WEIGHED.has(entry.op) && row.some(({ op }) => WEIGHED.has(op))
    if (!follows || full) close()
    row.push(entry)
  }
  close()
  return items
}

/** Whether a block is a few layers after each other. */
const isShort = (layers: readonly LayerSummary[]): boolean =>
  layers.length <= SHORT && layers.every((layer, i) => layer.inputs.length === 1 && (i === 0 || layer.inputs[0] === layers[i - 1]!.name))

/** A key of an item's structure: equal for items that differ only in names and in the number of incoming channels. */
function kindOf(item: Item): string {
  if (item.kind === 'input') return `input ${item.name}`
  const { layers } = item
  const prefix = item.kind === 'block' ? `${item.block}: ` : ''
  const place = new Map(layers.map((layer, i) => [layer.name, i]))
  return prefix +
    layers.map((layer) => `${layer.op}${JSON.stringify(layer.attributes)}<${layer.inputs.map((name) => place.get(name) ?? 'in').join()}`)
      .join(';')
}

/** Equal items after each other become one with a count, if nobody else reads what is between them. */
function folded(items: readonly Item[], net: NetSummary): readonly Item[] {
  const readersOf = (names: readonly string[]): LayerSummary[] =>
    net.layers.filter((layer) => layer.inputs.some((name) => names.includes(name)) && !names.includes(layer.name))
  const isResult = (names: readonly string[]): boolean => net.outputs.some(({ layer }) => names.includes(layer))
  const made: Item[] = []
  for (const raw of items) {
    const item: Item = raw.kind === 'block' ? { ...raw, items: folded(raw.items, net) } : raw
    const before = made.at(-1)
    if (before && before.kind !== 'input' && item.kind !== 'input' && before.kind === item.kind && kindOf(before) === kindOf(item)) {
      const outside = readersOf(before.all)
      const inward = item.layers.flatMap(({ inputs }) => inputs).filter((name) => !item.all.includes(name))
      if (
        outside.length > 0 && outside.every((layer) => item.all.includes(layer.name)) && inward.every((name) =>
          before.all.includes(name)
        ) && !isResult(before.all)
      ) {
        const joined = { count: before.count + 1, all: [...before.all, ...item.all], last: item.last }
        made[made.length - 1] = before.kind === 'block' ? { ...before, ...joined, names: [...before.names, ...(item as BlockBox).names] }
          : { ...before, ...joined }
        continue
      }
    }
    made.push(item)
  }
  return made
}

/** Boxes that are drawn. */
export const countBoxes = (items: readonly Item[]): number =>
  items.reduce((sum, item) => sum + (item.kind === 'block' ? 1 + countBoxes(item.items) : 1), 0)
