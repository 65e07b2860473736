import { type Shape, tensor } from '../tensor.ts'
import { add, constant, type Expression, load, mul, sub, substitute, sum } from './expression.ts'
import { freeAxes } from './free-axes.ts'
import { type Axis, axis, type IndexLike, plus, substitute as substituteIndex, times } from './index-expression.ts'
import { type Equation, equation, store } from './kernel.ts'
import type { Loop, Nest, Phase, PhaseGroup } from './nest.ts'
import { replaceNode, splitAxis, strideOf } from './reshape.ts'
import { stage } from './stage.ts'
import { linearIndex, type Reduction } from './values.ts'

/*
 * Convolution with windows of 3 x 3 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin & Gray 2016): a tile of 2 x 2
 * outputs takes 16 products instead of 36. With tiles d of 4 x 4 inputs and windows g:
 *
 *   y = A' [ (G g G') * (B' d B) ] A
 *
 * where * goes element by element and sums over channels are matrix products, one for each of the 16 elements.
 */

type Matrix = readonly (readonly number[])[]
const INPUT: Matrix = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
const WEIGHT: Matrix = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
const OUTPUT: Matrix = [[1, 1, 1, 0], [0, 1, -1, -1]]

/** Fewer channels do not pay for the transformations. */
const LEAST_CHANNELS = 16
const LEAST_TILES = 16
/** Transformed inputs of an item, in elements: they should stay in the second cache. */
const GOOD_ITEM = 160 * 1024
const MOST_ITEM = 2 ** 20
/** Output channels that take turns. */
const BLOCK = 16
const MOST_ITEMS = 8

export interface WinogradNest extends Nest {
  readonly split: { readonly grid: readonly Axis[]; readonly row: Axis; readonly rows?: number; readonly rowBlocks?: Axis; readonly channelBlocks?: Axis; readonly channelTurns?: Axis }
}

/** Undefined where an equation is no such convolution, or too small for it to pay. */
export function winograd(given: Equation, main: Reduction, sides: (e: Equation, split: WinogradNest['split']) => readonly Phase[]): Nest | undefined {
  const shape = convolutionOf(given, main)
  if (!shape) return undefined
  const { leading, out, row, column, channels } = shape
  const inputs = channels.reduce((p, a) => p * (a.extent as number), 1)
  const height = row.extent as number
  const tilesAcross = (column.extent as number) / 2
  const outputs = out.extent as number
  if (inputs < LEAST_CHANNELS || outputs < LEAST_CHANNELS || height / 2 * tilesAcross < LEAST_TILES) return undefined

  // Rows of an item, then output channels: enough items for several threads even for one image.
  const rowSizes = divisors(height).filter((d) => d % 2 === 0)
  const sizeOf = (rows: number): number => 16 * inputs * rows / 2 * tilesAcross
  const rows = rowSizes.filter((d) => sizeOf(d) <= GOOD_ITEM && d / 2 * tilesAcross >= LEAST_TILES).at(-1) ?? rowSizes.find((d) => d / 2 * tilesAcross >= LEAST_TILES)
  if (rows === undefined || sizeOf(rows) > MOST_ITEM) return undefined
  let e = given
  const grid = [...leading]
  const split: { -readonly [K in keyof WinogradNest['split']]: WinogradNest['split'][K] } = { grid, row }
  let h = row
  if (rows < height) {
    const cut = splitAxis(e, row, rows)
    e = cut.equation
    h = cut.inner
    grid.push(cut.outer)
    split.rows = rows
    split.rowBlocks = cut.outer
  }
  const pieces = Math.floor(MOST_ITEMS / (height / rows) / leading.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 1), 1))
  let o = out
  const group = divisors(outputs).filter((d) => d % 4 === 0 && d >= 32 && outputs / d <= pieces)[0]
  if (group !== undefined && group < outputs) {
    const cut = splitAxis(e, o, group)
    e = cut.equation
    o = cut.inner
    grid.push(cut.outer)
    split.channelBlocks = cut.outer
  }
  const turn = divisors(o.extent as number).filter((d) => d % 4 === 0 && d <= BLOCK).at(-1)
  if (turn === undefined) return undefined
  const turns = splitAxis(e, o, turn)
  e = turns.equation
  split.channelTurns = turns.outer
  o = turns.inner
  return layOut(e, { ...shape, row: h, out: o, turns: turns.outer }, split, sides)
}

interface Convolution {
  /** The image, groups. */
  readonly leading: readonly Axis[]
  readonly out: Axis
  readonly row: Axis
  readonly column: Axis
  /** Reduced axes: channels, and those of the window. */
  readonly channels: readonly Axis[]
  readonly windowRow: Axis
  readonly windowColumn: Axis
  /** Which factor the picture is. */
  readonly picture: 'a' | 'b'
}

function convolutionOf(e: Equation, main: Reduction): Convolution | undefined {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const window = main.axes.filter((a) => a.extent === 3)
  for (const picture of ['a', 'b'] as const) {
    const [p, q] = [freeAxes(product[picture]), freeAxes(product[picture === 'a' ? 'b' : 'a'])]
    const leading = e.axes.filter((a) => typeof a.extent !== 'number' || (p.has(a) && q.has(a)))
    const maps = e.axes.filter((a) => p.has(a) && !leading.includes(a))
    const outs = e.axes.filter((a) => q.has(a) && !leading.includes(a))
    if (maps.length !== 2 || outs.length !== 1 || leading.length + 3 !== e.axes.length) continue
    const [row, column] = maps as [Axis, Axis]
    if ([row, column].some((a) => (a.extent as number) % 2 !== 0 || (a.extent as number) < 4)) continue
    const partner = (a: Axis): Axis | undefined => window.find((k) => {
      const made = stage('trial', product[picture], new Set([...leading, ...main.axes.filter((x) => x !== k), ...maps.filter((x) => x !== a)]), a)
      return made?.into.shape.length === 1 && freeAxes(made.value).has(k) && freeAxes(made.value).has(a)
    })
    const [windowRow, windowColumn] = [partner(row), partner(column)]
    if (!windowRow || !windowColumn || windowRow === windowColumn) continue
    const channels = main.axes.filter((a) => a !== windowRow && a !== windowColumn)
    if (channels.length === 0 || channels.some((a) => typeof a.extent !== 'number')) continue
    return { leading, out: outs[0]!, row, column, channels, windowRow, windowColumn, picture }
  }
  return undefined
}

function layOut(e: Equation, c: Convolution & { readonly turns: Axis }, split: WinogradNest['split'], sides: (e: Equation, split: WinogradNest['split']) => readonly Phase[]): Nest | undefined {
  const sumOf = (value: Expression): Reduction | undefined => findSum(value, c.windowRow)
  const main = e.stores.map((s) => sumOf(s.value)).find((r) => r !== undefined)!
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const picture = product[c.picture]
  const weights = product[c.picture === 'a' ? 'b' : 'a']
  const fixed = new Set<Axis>([...split.grid, c.turns])
  const staged = stage('picture', picture, fixed, c.column)
  if (!staged) return undefined
  const [rows, columns] = [axis('tile_h', (c.row.extent as number) / 2), axis('tile_w', (c.column.extent as number) / 2)]
  const tiles = (rows.extent as number) * (columns.extent as number)
  const channel = flatIndex(c.channels)
  const inputs = channel.size

  // B' d B of every tile, from the padded picture. It may lie mirrored: dx reads windows backwards.
  const transformed = tensor('transformed', [16, inputs, tiles])
  const backwards = (k: Axis, a: Axis): boolean => (strideOf(linearIndex(staged.into, (staged.value as Extract<Expression, { kind: 'load' }>).at), k) ?? 0) * (strideOf(linearIndex(staged.into, (staged.value as Extract<Expression, { kind: 'load' }>).at), a) ?? 0) < 0
  const mirrored = [backwards(c.windowRow, c.row), backwards(c.windowColumn, c.column)] as const
  const at = (i: number, j: number): Expression => substitute(staged.value, new Map<Axis, IndexLike>([
    [c.row, plus(times(rows, 2), i)], [c.column, plus(times(columns, 2), j)], [c.windowRow, mirrored[0] ? 2 : 0], [c.windowColumn, mirrored[1] ? 2 : 0],
  ]))
  const inputTile = matrixOf(4, 4, at)
  const tile = plus(times(rows, columns.extent as number), columns)
  const pack = equation('transform', [], [...c.channels, rows, columns],
    flatten(sandwich(INPUT, inputTile)).map((value, f) => store(transformed, [f, channel.at(c.channels), tile], value)))

  // G g G' of every window.
  const windows = tensor('windows', [16, c.out.extent as number, inputs])
  const weightAt = (i: number, j: number): Expression => substitute(weights, new Map<Axis, IndexLike>([
    [c.windowRow, mirrored[0] ? 2 - i : i], [c.windowColumn, mirrored[1] ? 2 - j : j],
  ]))
  const weigh = equation('windows', [], [c.out, ...c.channels],
    flatten(sandwich(WEIGHT, matrixOf(3, 3, weightAt))).map((value, f) => store(windows, [f, c.out, channel.at(c.channels)], value)))

  // One matrix product for each element.
  const products = tensor('products', [16, c.out.extent as number, tiles])
  const [f, o, t, k] = [axis('f', 16), axis('o', c.out.extent as number), axis('tile', tiles), axis('c', inputs)]
  const multiply = equation('multiply', [], [f, o, t], [store(products, [f, o, t], sum([k], mul(load(transformed, f, k, t), load(windows, f, o, k))))])

  // A' m A, and whatever follows the convolution.
  const results = sandwich(OUTPUT, matrixOf(4, 4, (i, j) => load(products, 4 * i + j, c.out, tile)))
  const stores = [0, 1].flatMap((i) => [0, 1].flatMap((j) => {
    const map = new Map<Axis, IndexLike>([[c.row, plus(times(rows, 2), i)], [c.column, plus(times(columns, 2), j)]])
    return e.stores.map((s) => ({
      tensor: s.tensor,
      at: s.at.map((index) => substituteIndex(index, map)),
      value: substitute(replaceNode(s.value, main, results[i]![j]!), map),
    }))
  }))
  const finish: Equation = { ...e, sides: [], axes: [...e.axes.filter((a) => a !== c.row && a !== c.column), rows, columns], stores }

  const lanes = (a: Axis, tile = 1): Loop => ({ axis: a, tile, lanes: (a.extent as number) >= 4 })
  const plainly = (axes: readonly Axis[]): Loop[] => axes.map((a) => ({ axis: a, tile: 1 }))
  const packAxes = staged.pack.axes.filter((a) => !fixed.has(a))
  const deep = c.channels.at(-1)!
  const group: PhaseGroup = {
    each: c.turns,
    phases: [
      { equation: weigh, loops: [...plainly([c.out, ...c.channels.slice(0, -1)]), lanes(deep)], unroll: new Map() },
      {
        equation: multiply,
        loops: [{ axis: f, tile: 1 }, { axis: o, tile: Math.min(4, o.extent as number) }, lanes(t, tiles >= 8 ? 2 : 1)],
        unroll: new Map([[k, [8, 4, 2].find((d) => inputs % d === 0) ?? 1]]),
      },
      { equation: finish, loops: [...plainly([c.out, rows]), lanes(columns)], unroll: new Map() },
    ],
  }
  return {
    grid: split.grid,
    phases: [
      { equation: staged.pack, loops: [...plainly(packAxes.slice(0, -1)), lanes(packAxes.at(-1)!)], unroll: new Map() },
      { equation: pack, loops: [...plainly([...c.channels, rows]), lanes(columns)], unroll: new Map() },
      group,
      ...sides(e, split),
    ],
    staging: [staged.into, transformed, windows, products],
    ...(split.rows !== undefined && { rows: split.rows }),
    summary: `Winograd F(2x2, 3x3), ${tiles} tiles of ${inputs} channels; prepares ${showElements([staged.into.shape, transformed.shape])}`,
  }
}

const showElements = (shapes: readonly Shape[]): string => shapes.map((s) => s.join('x')).join(' and ')

const divisors = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0)

/** Several axes counted through as one. */
function flatIndex(axes: readonly Axis[]): { size: number; at: (axes: readonly IndexLike[]) => IndexLike } {
  const sizes = axes.map((a) => a.extent as number)
  return {
    size: sizes.reduce((p, s) => p * s, 1),
    at: (index) => index.reduce<IndexLike>((whole, i, d) => (d === 0 ? i : plus(times(whole, sizes[d]!), i)), 0),
  }
}

function findSum(e: Expression, over: Axis): Reduction | undefined {
  let found: Reduction | undefined
  const seen = new Set<Expression>()
  const visit = (node: Expression): void => {
    if (found || seen.has(node)) return
    seen.add(node)
    if (node.kind === 'reduce' && node.axes.includes(over)) { found = node; return }
    if (node.kind === 'binary') { visit(node.a); visit(node.b) }
    if (node.kind === 'unary') visit(node.a)
    if (node.kind === 'select') { visit(node.a); visit(node.b); visit(node.yes); visit(node.no) }
    if (node.kind === 'guard') visit(node.value)
  }
  visit(e)
  return found
}

type Tile = readonly (readonly Expression[])[]

const matrixOf = (rows: number, columns: number, at: (i: number, j: number) => Expression): Tile =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => at(i, j)))

const transpose = (m: Tile): Tile => m[0]!.map((_, j) => m.map((row) => row[j]!))
const flatten = (m: Tile): Expression[] => m.flat()

/** M x M', rows first: what rows have in common is computed once. */
const sandwich = (m: Matrix, x: Tile): Tile => transpose(applyRows(m, transpose(applyRows(m, x))))

const applyRows = (m: Matrix, x: Tile): Tile =>
  m.map((row) => x[0]!.map((_, j) => row.reduce<Expression | undefined>((total, factor, i) => {
    if (factor === 0) return total
    const value = x[i]![j]!
    const term = Math.abs(factor) === 1 ? value : mul(value, Math.abs(factor))
    if (!total) return factor > 0 ? term : sub(constant(0), term)
    return factor > 0 ? add(total, term) : sub(total, term)
  }, undefined)!))

