import { type Shape, tensor, type Tensor } from '../tensor.ts'
import { divisors } from './divisors.ts'
import { add, constant, type Expression, load, mul, sub, substitute, sum, walk } from './expression.ts'
import { freeAxes } from './free-axes.ts'
import { type Axis, axis, type IndexLike, plus, substitute as substituteIndex, times } from './index-expression.ts'
import { type Equation, equation, store } from './kernel.ts'
import type { Loop, Nest, Phase, PhaseGroup } from './nest.ts'
import { replaceNode, splitAxis, strideOf } from './reshape.ts'
import { stage } from './stage.ts'
import { linearIndex, type Reduction } from './values.ts'

/*
 * Convolution by Winograd's minimal filtering F(m x m, r x r) (Lavin & Gray 2016): with n = m + r - 1, a tile of m x m
 * outputs takes n x n products instead of m m r r: F(4x4, 3x3) 36 for 144, F(2x2, 5x5) 36 for 100. With tiles d of n x n
 * inputs and windows g:
 *
 *   y = A' [ (G g G') * (B' d B) ] A
 *
 * where * goes element by element and sums over channels are matrix products, one for each of the n x n elements.
 */

type Matrix = readonly (readonly number[])[]

interface Transforms {
  readonly input: Matrix
  readonly weight: Matrix
  readonly output: Matrix
}

/** Points at which polynomials are evaluated, beside infinity: small, so that little is lost in float32 (Barabasz et al. 2020). */
const POINTS: Readonly<Record<number, readonly number[]>> = { 4: [0, 1, -1], 6: [0, 1, -1, 2, -0.5] }

/** Outputs of a tile along a row, the best first. */
const TILE_SIZES: Readonly<Record<number, readonly number[]>> = { 3: [4, 2], 5: [2] }

/** The matrices of Toom and Cook for `m` outputs and a window of `r`. */
function transformsOf(m: number, r: number): Transforms {
  const size = m + r - 1
  const points = POINTS[size]!
  const without = (j: number): number[] => points.filter((_, l) => l !== j)
  const norm = (j: number): number => without(j).reduce((p, other) => p * (points[j]! - other), 1)
  return {
    input: [...points.map((_, j) => padded(expand(without(j)), size)), expand(points)],
    weight: [...points.map((p, j) => Array.from({ length: r }, (_, k) => p ** k / norm(j))), padded([...Array<number>(r - 1).fill(0), 1], r)],
    output: Array.from({ length: m }, (_, i) => [...points.map((p) => p ** i), i === m - 1 ? 1 : 0]),
  }
}

/** Coefficients of (x - a)(x - b)..., the lowest first. */
const expand = (roots: readonly number[]): number[] =>
  roots.reduce<number[]>((c, root) => [...c, 0].map((_, i) => (c[i - 1] ?? 0) - root * (c[i] ?? 0)), [1])

const padded = (row: readonly number[], size: number): number[] => Array.from({ length: size }, (_, i) => row[i] ?? 0)

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
  const outputs = out.extent as number
  const m = TILE_SIZES[shape.window]!.find((m) => height % m === 0 && (column.extent as number) % m === 0 && height * (column.extent as number) / m ** 2 >= LEAST_TILES)
  if (m === undefined || inputs < LEAST_CHANNELS || outputs < LEAST_CHANNELS) return undefined
  const tilesAcross = (column.extent as number) / m

  // Rows of an item, then output channels: enough items for several threads even for one image.
  const rowSizes = divisors(height).filter((d) => d % m === 0)
  const elements = (m + shape.window - 1) ** 2
  const sizeOf = (rows: number): number => elements * inputs * rows / m * tilesAcross
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
  return layOut(e, { ...shape, row: h, out: o, turns: turns.outer, m }, split, sides)
}

/**
 * The gradient of the windows by the same transformations turned around: with tiles d of inputs and e of output gradients,
 * dg = G' [ (B' d B) * (A e A') ] G, summed over tiles and images before the last step. Channels lie innermost throughout.
 */
export function winogradGradient(given: Equation, main: Reduction): Nest | undefined {
  const shape = couplingOf(given, main)
  if (!shape) return undefined
  const { leading, out, channel, windowRow, windowColumn, image, row, column } = shape
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const window = windowRow.extent as number
  const [height, width] = [row.extent as number, column.extent as number]
  const [outputs, inputs] = [out.extent as number, channel.extent as number]
  const m = TILE_SIZES[window]!.find((m) => height % m === 0 && width % m === 0 && height * width / m ** 2 >= LEAST_TILES)
  if (m === undefined || inputs < LEAST_CHANNELS || outputs < LEAST_CHANNELS || inputs % 4 !== 0 || outputs % 4 !== 0) return undefined
  const size = m + window - 1
  if (size ** 2 * outputs * inputs > GOOD_ITEM) return undefined
  const rows = divisors(height).filter((d) => d % m === 0 && size ** 2 * (d / m) * (width / m) * (inputs + outputs) <= GOOD_ITEM).at(-1)
  if (rows === undefined) return undefined
  const { input, weight, output } = transformsOf(m, window)
  const each = axis('row_block', height / rows)
  const [tileRow, tileColumn] = [axis('tile_h', rows / m), axis('tile_w', width / m)]
  const tiles = (tileRow.extent as number) * (tileColumn.extent as number)
  const tile = plus(times(tileRow, tileColumn.extent as number), tileColumn)
  const fixed = new Set<Axis>([...leading, image, each])

  // Both pictures with their channels innermost: what is padded and normalized on the way is so once.
  const h = axis('h', rows)
  const block = new Map<Axis, IndexLike>([[row, plus(times(each, rows), h)]])
  const dense = stage('picture', substitute(product[shape.dense], block), fixed, column, channel)
  const strided = stage('gradient', substitute(product[shape.dense === 'a' ? 'b' : 'a'], block), fixed, column, out)
  if (dense?.value.kind !== 'load' || strided?.value.kind !== 'load') return undefined
  const read = linearIndex(dense.into, dense.value.at)
  if ((strideOf(read, windowRow) ?? 0) <= 0 || (strideOf(read, windowColumn) ?? 0) <= 0) return undefined
  const at = (value: Expression) => (i: number, j: number): Expression => substitute(value, new Map<Axis, IndexLike>([
    [h, plus(times(tileRow, m), i)], [column, plus(times(tileColumn, m), j)], [windowRow, 0], [windowColumn, 0],
  ]))
  const transformed = tensor('transformed', [size ** 2, plane(tiles * inputs)])
  const gradients = tensor('gradients', [size ** 2, plane(tiles * outputs)])
  const totals = tensor('totals', [size ** 2, plane(outputs * inputs)])
  const transform = (name: string, matrix: Matrix, from: Tile, into: Tensor, a: Axis): Equation =>
    equation(name, [], [tileRow, tileColumn, a], flatten(sandwich(matrix, from)).map((value, f) => store(into, [f, plus(times(tile, a.extent as number), a)], value)))
  const pack = transform('transform', input, matrixOf(size, size, at(dense.value)), transformed, channel)
  const packGradient = transform('transform_gradient', columnsOf(output), matrixOf(m, m, at(strided.value)), gradients, out)
  const [f, o, c, t] = [axis('f', size ** 2), axis('o', outputs), axis('c', inputs), axis('tile', tiles)]
  const total = [f, plus(times(o, inputs), c)] as const
  const multiply = equation('multiply', [], [f, o, c], [store(totals, total, add(load(totals, ...total),
    sum([t], mul(load(transformed, f, plus(times(t, inputs), c)), load(gradients, f, plus(times(t, outputs), o))))))])
  const clear = equation('clear', [], [f, axis('i', outputs * inputs)], [])
  const cleared: Equation = { ...clear, stores: [store(totals, clear.axes, constant(0))] }
  const windows = sandwich(columnsOf(weight), matrixOf(size, size, (i, j) => load(totals, size * i + j, plus(times(out, inputs), channel))))
  const [stored] = given.stores as readonly [Equation['stores'][number]]
  const finish: Equation = {
    ...given,
    axes: given.axes.filter((a) => a !== windowRow && a !== windowColumn),
    stores: flatten(windows).map((value, k) => ({
      ...stored,
      at: stored.at.map((index) => substituteIndex(index, new Map<Axis, IndexLike>([[windowRow, Math.floor(k / window)], [windowColumn, k % window]]))),
      value,
    })),
  }
  const loops = (axes: readonly Axis[]): Loop[] => axes.map((a, i) => (i === axes.length - 1 && (a.extent as number) >= 4 ? { axis: a, tile: 1, lanes: true } : { axis: a, tile: 1 }))
  const packLoops = (axes: readonly Axis[], lanes: Axis): Loop[] => {
    const own = axes.filter((a) => !fixed.has(a))
    return own.map((a) => ({ axis: a, tile: 1, ...(a === lanes && { lanes: true }) }))
  }
  return {
    grid: leading,
    rounds: {
      axis: image,
      clear: { equation: cleared, loops: loops(cleared.axes), unroll: new Map() },
      finish: { equation: finish, loops: loops(finish.axes.filter((a) => !leading.includes(a))), unroll: new Map(), together: window },
    },
    phases: [{
      each,
      phases: [
        { equation: dense.pack, loops: packLoops(dense.pack.axes, dense.along), unroll: new Map() },
        { equation: strided.pack, loops: packLoops(strided.pack.axes, strided.along), unroll: new Map() },
        { equation: pack, loops: loops(pack.axes), unroll: new Map(), together: size },
        { equation: packGradient, loops: loops(packGradient.axes), unroll: new Map(), together: size },
        {
          equation: multiply,
          loops: [{ axis: f, tile: 1 }, { axis: o, tile: 4 }, { axis: c, tile: inputs >= 8 ? 2 : 1, lanes: true }],
          unroll: new Map([[t, [8, 7, 4, 2].find((d) => tiles % d === 0) ?? 1]]),
        },
      ],
    }],
    staging: [dense.into, strided.into, transformed, gradients, totals],
    summary: `Winograd F(${window}x${window}, ${m}x${m}), ${tiles} tiles of ${inputs} and ${outputs} channels; prepares ${showElements([dense.into.shape, strided.into.shape])}`,
  }
}

interface Coupling {
  readonly leading: readonly Axis[]
  readonly out: Axis
  readonly channel: Axis
  readonly windowRow: Axis
  readonly windowColumn: Axis
  readonly image: Axis
  readonly row: Axis
  readonly column: Axis
  /** Which factor windows slide over. */
  readonly dense: 'a' | 'b'
}

function couplingOf(e: Equation, main: Reduction): Coupling | undefined {
  if (e.stores.length !== 1 || e.stores[0]!.value !== main || main.axes.length !== 3) return undefined
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const image = main.axes.find((a) => typeof a.extent !== 'number')
  const [row, column] = main.axes.filter((a) => typeof a.extent === 'number')
  if (!image || !row || !column) return undefined
  for (const dense of ['a', 'b'] as const) {
    const [p, q] = [freeAxes(product[dense]), freeAxes(product[dense === 'a' ? 'b' : 'a'])]
    const leading = e.axes.filter((a) => p.has(a) && q.has(a))
    const inDense = e.axes.filter((a) => p.has(a) && !q.has(a))
    const outs = e.axes.filter((a) => q.has(a) && !p.has(a))
    const [channel, windowRow, windowColumn] = inDense
    if (outs.length !== 1 || inDense.length !== 3 || !isDense(product[dense], row, windowRow!) || !isDense(product[dense], column, windowColumn!) || windowRow!.extent !== windowColumn!.extent || !TILE_SIZES[windowRow!.extent as number]) continue
    return { leading, out: outs[0]!, channel: channel!, windowRow: windowRow!, windowColumn: windowColumn!, image, row, column, dense }
  }
  return undefined
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
  readonly window: number
  /** Which factor the picture is. */
  readonly picture: 'a' | 'b'
}

function convolutionOf(e: Equation, main: Reduction): Convolution | undefined {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const window = main.axes.filter((a) => TILE_SIZES[a.extent as number])
  for (const picture of ['a', 'b'] as const) {
    const [p, q] = [freeAxes(product[picture]), freeAxes(product[picture === 'a' ? 'b' : 'a'])]
    const leading = e.axes.filter((a) => typeof a.extent !== 'number' || (p.has(a) && q.has(a)))
    const maps = e.axes.filter((a) => p.has(a) && !leading.includes(a))
    const outs = e.axes.filter((a) => q.has(a) && !leading.includes(a))
    if (maps.length !== 2 || outs.length !== 1 || leading.length + 3 !== e.axes.length) continue
    const [row, column] = maps as [Axis, Axis]
        const partner = (a: Axis): Axis | undefined => window.find((k) => {
      const made = stage('trial', product[picture], new Set([...leading, ...main.axes.filter((x) => x !== k), ...maps.filter((x) => x !== a)]), a)
      return made?.into.shape.length === 1 && freeAxes(made.value).has(k) && freeAxes(made.value).has(a)
    })
    const [windowRow, windowColumn] = [partner(row), partner(column)]
    if (!windowRow || !windowColumn || windowRow === windowColumn || windowRow.extent !== windowColumn.extent) continue
    if (!isDense(product[picture], row, windowRow) || !isDense(product[picture], column, windowColumn)) continue
    const channels = main.axes.filter((a) => a !== windowRow && a !== windowColumn)
    if (channels.length === 0 || channels.some((a) => typeof a.extent !== 'number')) continue
    return { leading, out: outs[0]!, row, column, channels, windowRow, windowColumn, window: windowRow.extent as number, picture }
  }
  return undefined
}

function layOut(e: Equation, c: Convolution & { readonly turns: Axis; readonly m: number }, split: WinogradNest['split'], sides: (e: Equation, split: WinogradNest['split']) => readonly Phase[]): Nest | undefined {
  const sumOf = (value: Expression): Reduction | undefined => findSum(value, c.windowRow)
  const main = e.stores.map((s) => sumOf(s.value)).find((r) => r !== undefined)!
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const picture = product[c.picture]
  const weights = product[c.picture === 'a' ? 'b' : 'a']
  const fixed = new Set<Axis>([...split.grid, c.turns])
  const { m } = c
  const [rows, columns] = [axis('tile_h', (c.row.extent as number) / m), axis('tile_w', (c.column.extent as number) / m)]
  // Columns that the same element of neighbouring tiles falls on lie side by side.
  const within = axis('w', m)
  const cut = substitute(picture, new Map<Axis, IndexLike>([[c.column, plus(times(columns, m), within)]]))
  const staged = stage('picture', cut, fixed, columns)
  if (staged?.value.kind !== 'load') return undefined
  const read = linearIndex(staged.into, staged.value.at)
  const tiles = (rows.extent as number) * (columns.extent as number)
  const channel = flatIndex(c.channels)
  const inputs = channel.size
  const outputs = c.out.extent as number

  // B' d B of every tile, from the padded picture. It may lie mirrored: dx reads windows backwards.
  const size = m + c.window - 1
  const { input, weight, output } = transformsOf(m, c.window)
  const transformed = tensor('transformed', [size ** 2, plane(inputs * tiles)])
  const mirrored = [strideOf(read, c.windowRow)! < 0, backwards(cut, c.windowColumn, within)] as const
  const at = (i: number, j: number): Expression => substitute(staged.value, new Map<Axis, IndexLike>([
    [c.row, plus(times(rows, m), i)], [within, j], [c.windowRow, mirrored[0] ? c.window - 1 : 0], [c.windowColumn, mirrored[1] ? c.window - 1 : 0],
  ]))
  const inputTile = matrixOf(size, size, at)
  const tile = plus(times(rows, columns.extent as number), columns)
  const pack = equation('transform', [], [...c.channels, rows, columns],
    flatten(sandwich(input, inputTile)).map((value, f) => store(transformed, [f, plus(times(channel.at(c.channels), tiles), tile)], value)))

  // G g G' of every window.
  const windows = tensor('windows', [size ** 2, plane(outputs * inputs)])
  const weightAt = (i: number, j: number): Expression => substitute(weights, new Map<Axis, IndexLike>([
    [c.windowRow, mirrored[0] ? c.window - 1 - i : i], [c.windowColumn, mirrored[1] ? c.window - 1 - j : j],
  ]))
  const weigh = equation('windows', [], [c.out, ...c.channels],
    flatten(sandwich(weight, matrixOf(c.window, c.window, weightAt))).map((value, f) => store(windows, [f, plus(times(c.out, inputs), channel.at(c.channels))], value)))

  // One matrix product for each element.
  const products = tensor('products', [size ** 2, plane(outputs * tiles)])
  const [f, o, t, k] = [axis('f', size ** 2), axis('o', outputs), axis('tile', tiles), axis('c', inputs)]
  const multiply = equation('multiply', [], [f, o, t], [store(products, [f, plus(times(o, tiles), t)], sum([k], mul(load(transformed, f, plus(times(k, tiles), t)), load(windows, f, plus(times(o, inputs), k)))))])

  // A' m A, and whatever follows the convolution.
  const results = sandwich(output, matrixOf(size, size, (i, j) => load(products, size * i + j, plus(times(c.out, tiles), tile))))
  const places = Array.from({ length: m }, (_, i) => i)
  const stores = places.flatMap((i) => places.flatMap((j) => {
    const map = new Map<Axis, IndexLike>([[c.row, plus(times(rows, m), i)], [c.column, plus(times(columns, m), j)]])
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
      { equation: finish, loops: [...plainly([c.out, rows]), lanes(columns)], unroll: new Map(), together: m * e.stores.length },
    ],
  }
  return {
    grid: split.grid,
    phases: [
      { equation: staged.pack, loops: [...plainly(packAxes.slice(0, -1)), lanes(packAxes.at(-1)!)], unroll: new Map() },
      { equation: pack, loops: [...plainly([...c.channels, rows]), lanes(columns)], unroll: new Map(), together: size },
      group,
      ...sides(e, split),
    ],
    staging: [staged.into, transformed, windows, products],
    ...(split.rows !== undefined && { rows: split.rows }),
    summary: `Winograd F(${m}x${m}, ${c.window}x${c.window}), ${tiles} tiles of ${inputs} channels; prepares ${showElements([staged.into.shape, transformed.shape])}`,
  }
}

/** Whether windows lie at every place, and their elements side by side. */
const isDense = (f: Expression, a: Axis, k: Axis): boolean =>
  walk(f).every((node) => node.kind !== 'load' || node.at.every((at) => [0, 1].includes(strideOf(at, a) ?? 2) && [-1, 0, 1].includes(strideOf(at, k) ?? 2)))

/** Whether a factor reads columns against the direction in which the window is counted. */
const backwards = (f: Expression, k: Axis, column: Axis): boolean =>
  walk(f).some((node) => node.kind === 'load' && node.at.some((at) => (strideOf(at, k) ?? 0) * (strideOf(at, column) ?? 0) < 0))

const showElements = (shapes: readonly Shape[]): string => shapes.map((s) => s.join('x')).join(' and ')

/** Elements from one to the next: an odd number of cache lines, so that all of them can be in the first cache at once. */
const plane = (elements: number): number => 16 * (Math.ceil(elements / 16) | 1)

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

/** M' of a matrix. */
const columnsOf = (m: Matrix): Matrix => m[0]!.map((_, j) => m.map((row) => row[j]!))

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

