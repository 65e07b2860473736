/*
 * A layered drawing of a small graph (Sugiyama et al. 1981): ranks by the longest way, dummies for edges that pass ranks, an order by
 * barycentres, and places that pull nodes under what they are joined to.
 */

export interface LayoutNode {
  readonly id: string
  readonly width: number
  readonly height: number
  /** Whether it is at the top whatever reads it: there edges come in from outside. */
  readonly first?: boolean
  /** Below everything. */
  readonly last?: boolean
}

export interface LayoutEdge {
  readonly from: string
  readonly to: string
}

export interface Placed {
  /** The left upper corner. */
  readonly x: number
  readonly y: number
}

export interface Layout {
  readonly width: number
  readonly height: number
  readonly nodes: ReadonlyMap<string, Placed>
  /** Points that an edge passes between its ends, from above. */
  readonly bends: ReadonlyMap<LayoutEdge, readonly { readonly x: number; readonly top: number; readonly bottom: number }[]>
  readonly ranks: readonly (readonly string[])[]
}

const GAP = 28
const RANK_GAP = 26
const LANE = 14
const SWEEPS = 12

interface Cell {
  readonly id: string
  readonly width: number
  readonly height: number
  x: number
  up: Cell[]
  down: Cell[]
}

export function layered(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): Layout {
  const rankOf = ranked(nodes, edges)
  const cells = new Map<string, Cell>(
    nodes.map((node) => [node.id, { id: node.id, width: node.width, height: node.height, x: 0, up: [], down: [] }]),
  )
  const rows: Cell[][] = Array.from({ length: 1 + Math.max(0, ...rankOf.values()) }, () => [])
  for (const node of nodes) rows[rankOf.get(node.id)!]!.push(cells.get(node.id)!)
  const lanes = new Map<LayoutEdge, Cell[]>()
  for (const edge of edges) {
    let above = cells.get(edge.from)!
    const lane: Cell[] = []
    for (let rank = rankOf.get(edge.from)! + 1; rank < rankOf.get(edge.to)!; rank++) {
      const dummy: Cell = { id: '', width: LANE, height: 0, x: 0, up: [above], down: [] }
      above.down.push(dummy)
      rows[rank]!.push(dummy)
      lane.push(dummy)
      above = dummy
    }
    above.down.push(cells.get(edge.to)!)
    cells.get(edge.to)!.up.push(above)
    lanes.set(edge, lane)
  }
  order(rows)
  place(rows)
  const left = Math.min(...rows.flat().map((c) => c.x - c.width / 2))
  const places = new Map<string, Placed>()
  const bounds = new Map<Cell, { top: number; bottom: number }>()
  let y = 0
  for (const row of rows) {
    const height = Math.max(...row.map((c) => c.height))
    for (const cell of row) {
      cell.x -= left
      bounds.set(cell, { top: y, bottom: y + height })
      if (cell.id !== '') places.set(cell.id, { x: cell.x - cell.width / 2, y: y + (height - cell.height) / 2 })
    }
    y += height + RANK_GAP
  }
  const width = Math.max(...rows.flat().map((c) => c.x + c.width / 2))
  return {
    width,
    height: y - RANK_GAP,
    nodes: places,
    ranks: rows.map((row) => row.filter(({ id }) => id !== '').map(({ id }) => id)),
    bends: new Map([...lanes].map(([edge, lane]) => [edge, lane.map((cell) => ({ x: cell.x, ...bounds.get(cell)! }))])),
  }
}

/** The longest way from above; a node without anything above stands right over its first reader. */
function ranked(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): Map<string, number> {
  const rank = new Map(nodes.map((node) => [node.id, 0]))
  for (let round = 0, moved = true; moved && round <= nodes.length; round++) {
    moved = false
    for (const { from, to } of edges)
      if (rank.get(to)! <= rank.get(from)!) {
        rank.set(to, rank.get(from)! + 1)
        moved = true
      }
  }
  for (const node of nodes) {
    if (node.first || edges.some(({ to }) => to === node.id)) continue
    const below = edges.filter(({ from }) => from === node.id).map(({ to }) => rank.get(to)!)
    if (below.length > 0) rank.set(node.id, Math.min(...below) - 1)
  }
  const most = Math.max(...rank.values())
  for (const node of nodes)
    if (node.last)
      rank.set(
        node.id,
        Math.max(rank.get(node.id)!, nodes.some((other) => !other.last && rank.get(other.id) === most) ? most + 1 : most),
      )
  return rank
}

const mean = (cells: readonly Cell[], of: (cell: Cell) => number): number => cells.reduce((sum, cell) => sum + of(cell), 0) / cells.length

function order(rows: Cell[][]): void {
  const at = new Map<Cell, number>()
  const number = (row: Cell[]): void => row.forEach((cell, i) => at.set(cell, i))
  rows.forEach(number)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0
    for (const row of down ? rows : [...rows].reverse()) {
      const weight = new Map(row.map((cell, i) => {
        const joined = down ? cell.up : cell.down
        return [cell, joined.length > 0 ? mean(joined, (c) => at.get(c)!) : i]
      }))
      row.sort((a, b) => weight.get(a)! - weight.get(b)! || at.get(a)! - at.get(b)!)
      number(row)
    }
  }
}

/** Each node under the middle of what it is joined to, as far as its neighbours leave room. */
function place(rows: readonly Cell[][]): void {
  for (const row of rows) {
    let x = 0
    for (const cell of row) {
      cell.x = x + cell.width / 2
      x += cell.width + GAP
    }
    const middle = (x - GAP) / 2
    for (const cell of row) cell.x -= middle
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0
    for (const row of down ? rows : [...rows].reverse()) {
      const wanted = row.map((cell) => {
        const joined = down ? cell.up : cell.down
        const other = down ? cell.down : cell.up
        return joined.length > 0 ? mean(joined, (c) => c.x) : other.length > 0 ? mean(other, (c) => c.x) : cell.x
      })
      spread(row, wanted)
    }
  }
}

/** Places in order, without overlap, near to what is wanted: runs that touch move as one to their mean. */
function spread(row: readonly Cell[], wanted: readonly number[]): void {
  interface Run {
    first: number
    last: number
    offsets: number[]
    shift: number
  }
  const runs: Run[] = []
  for (let i = 0; i < row.length; i++) {
    let run: Run = { first: i, last: i, offsets: [0], shift: wanted[i]! }
    for (let before = runs.at(-1); before; before = runs.at(-1)) {
      const end = before.shift + before.offsets.at(-1)! + row[before.last]!.width / 2
      const gap = row[before.last]!.id === '' || row[run.first]!.id === '' ? GAP / 2 : GAP
      if (end + gap <= run.shift - row[run.first]!.width / 2) break
      runs.pop()
      const step = before.offsets.at(-1)! + row[before.last]!.width / 2 + gap + row[run.first]!.width / 2
      const offsets = [...before.offsets, ...run.offsets.map((offset) => step + offset)]
      const shift = offsets.reduce((sum, offset, k) => sum + wanted[before.first + k]! - offset, 0) / offsets.length
      run = { first: before.first, last: run.last, offsets, shift }
    }
    runs.push(run)
  }
  for (const { first, offsets, shift } of runs)
    offsets.forEach((offset, k) => {
      row[first + k]!.x = shift + offset
    })
}
