import { freeAxes, strideOf } from '../../../ir/analysis.ts'
import { tensor } from '../../../ir/tensor.ts'
import { divisors } from '../../../ir/divisors.ts'
import { type Expression, load, mul, substitute, sum, type Reduction } from '../../../ir/expression.ts'
import { type Axis, axis, divide, type IndexLike, plus, remainder, substitute as substituteIndex, times,
  linearIndex } from '../../../ir/affine.ts'
import { type Equation, equation, reads, store, writes } from '../../../ir/equation.ts'
import type { Loop, LoopNest, Stage, StageGroup } from '../loop-nest.ts'
import { replaceNode, splitAxis } from '../../../ir/reshape.ts'
import { packFactor } from '../packing.ts'
import { backwards, flatten, GOOD_ITEM, isDense, LEAST_CHANNELS, LEAST_INPUTS, matrixOf, MOST_ITEM, plane, rowsTogether, sandwich,
  showElements, TILE_SIZES, type Tiling, tilingOf, transformsOf } from './transforms.ts'

/** Output channels that take turns. */
const BLOCK = 16
const MOST_ITEMS = 8
/** Tiles of an item that is not a whole picture: for fewer, windows would be read too often. */
const GOOD_TILES = 8
/** Elements of transformed windows that a thread keeps from image to image. */
const MOST_KEPT = 640 * 1024

export interface WinogradNest extends LoopNest {
  readonly split: {
    readonly grid: readonly Axis[]
    readonly row: Axis
    readonly rows?: number
    readonly rowBlocks?: Axis
    readonly channelBlocks?: Axis
    readonly channelTurns?: Axis
  }
}

/** Undefined where an equation is no such convolution, or too small for it to pay. */
export function winograd(
  given: Equation,
  main: Reduction,
  sides: (e: Equation, split: WinogradNest['split']) => readonly Stage[],
): LoopNest | undefined {
  const shape = convolutionOf(given, main)
  if (!shape) return undefined
  const { leading, out, row, column, channels } = shape
  const inputs = channels.reduce((p, a) => p * (a.extent as number), 1)
  const height = row.extent as number
  const outputs = out.extent as number
  // What updates in place must not be computed twice.
  const mayOverlap = !reads(given).some((t) => writes(given).includes(t))
  const tiling = tilingOf(shape.window, height, column.extent as number, mayOverlap)
  if (!tiling || inputs < LEAST_INPUTS[shape.window]! || outputs < LEAST_CHANNELS) return undefined
  const { m, across } = tiling

  // Rows of an item, then output channels: enough items for several threads even for one image.
  const rowSizes = tiling.stepDown === m ? divisors(height).filter((d) => d % m === 0) : [height]
  const elements = (m + shape.window - 1) ** 2
  const tilesIn = (rows: number): number => (rows === height ? tiling.down : rows / m) * across
  const sizeOf = (rows: number): number => elements * inputs * tilesIn(rows)
  const isWorth = (rows: number): boolean => rows === height || tilesIn(rows) >= GOOD_TILES
  const rows = rowSizes.filter((d) => sizeOf(d) <= GOOD_ITEM && isWorth(d)).at(-1) ?? rowSizes.find(isWorth)
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
  const keepsWindows = leading.length === 1 && elements * inputs * outputs <= MOST_KEPT
  return layOut(
    e,
    { ...shape, row: h, out: o, turns: turns.outer, tiling: { ...tiling, down: tilesIn(rows) / across }, keepsWindows },
    split,
    sides,
  )
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
    const partner = (a: Axis): Axis | undefined =>
      window.find((k) => {
        const made = packFactor(
          'trial',
          product[picture],
          new Set([...leading, ...main.axes.filter((x) => x !== k), ...maps.filter((x) => x !== a)]),
          a,
        )
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

type Layout = Convolution & {
  /** Blocks of output channels, `out` counts within one. */
  readonly turns: Axis
  readonly tiling: Tiling
  /** A thread transforms the windows for the first image that it takes, and has room for all of them. */
  readonly keepsWindows: boolean
}

function layOut(
  e: Equation,
  c: Layout,
  split: WinogradNest['split'],
  sides: (e: Equation, split: WinogradNest['split']) => readonly Stage[],
): LoopNest | undefined {
  const main = e.stores.map((s) => findSum(s.value, c.windowRow)).find((r) => r !== undefined)!
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const picture = product[c.picture]
  const weights = product[c.picture === 'a' ? 'b' : 'a']
  const fixed = new Set<Axis>([...split.grid, c.turns])
  const { m, down, across, stepDown, stepAcross } = c.tiling
  const tiles = down * across
  // Four tiles of a row at a time, if there are as many; else any four, whose elements are gathered.
  const inRows = across >= 4
  const [rows, columns, any] = [axis('tile_h', down), axis('tile_w', across), axis('tile', tiles)]
  const tileAxes = inRows ? [rows, columns] : [any]
  const tile: IndexLike = inRows ? plus(times(rows, across), columns) : any
  const firstRow = times(inRows ? rows : divide(any, across), stepDown)
  const firstColumn = times(inRows ? columns : remainder(any, across), stepAcross)
  // Columns that the same element of neighbouring tiles falls on lie side by side.
  const within = axis('w', m)
  const cut = inRows ? substitute(picture, new Map<Axis, IndexLike>([[c.column, plus(firstColumn, within)]])) : picture
  const staged = packFactor('picture', cut, fixed, inRows ? columns : c.column)
  if (staged?.value.kind !== 'load') return undefined
  const read = linearIndex(staged.into, staged.value.at)
  const channel = flatIndex(c.channels)
  const inputs = channel.size
  const outputs = c.out.extent as number

  // B' d B of every tile, from the padded picture. It may lie mirrored: dx reads windows backwards.
  const size = m + c.window - 1
  const { input, weight, output } = transformsOf(m, c.window)
  const transformed = tensor('transformed', [size ** 2, plane(inputs * tiles)])
  const mirrored = [strideOf(read, c.windowRow)! < 0, backwards(picture, c.windowColumn, c.column)] as const
  const at = (i: number, j: number): Expression =>
    substitute(
      staged.value,
      new Map<Axis, IndexLike>([
        [c.row, plus(firstRow, i)],
        ...(inRows ? [[within, j] as const] : [[c.column, plus(firstColumn, j)] as const]),
        [c.windowRow, mirrored[0] ? c.window - 1 : 0],
        [c.windowColumn, mirrored[1] ? c.window - 1 : 0],
      ]),
    )
  const inputTile = matrixOf(size, size, at)
  const pack = equation(
    'transform',
    [],
    [...c.channels, ...tileAxes],
    flatten(sandwich(input, inputTile)).map((value, f) => store(transformed, [f, plus(times(channel.at(c.channels), tiles), tile)], value)),
  )

  // G g G' of every window.
  const { channelBlocks } = split
  const kept: readonly Axis[] = c.keepsWindows ? [...(channelBlocks ? [channelBlocks] : []), c.turns] : []
  const window = (o: IndexLike, inner: IndexLike): IndexLike => plus(times(flatIndex([...kept, c.out]).at([...kept, o]), inputs), inner)
  const windows = tensor('windows', [size ** 2, plane(flatIndex([...kept, c.out]).size * inputs)])
  const weightAt = (i: number, j: number): Expression =>
    substitute(
      weights,
      new Map<Axis, IndexLike>([
        [c.windowRow, mirrored[0] ? c.window - 1 - i : i],
        [c.windowColumn, mirrored[1] ? c.window - 1 - j : j],
      ]),
    )
  const weigh = equation(
    'windows',
    [],
    [...(c.keepsWindows ? [c.turns] : []), c.out, ...c.channels],
    flatten(sandwich(weight, matrixOf(c.window, c.window, weightAt))).map((value, f) =>
      store(windows, [f, window(c.out, channel.at(c.channels))], value)
    ),
  )

  // One matrix product for each element.
  const products = tensor('products', [size ** 2, plane(outputs * tiles)])
  const [f, o, t, k] = [axis('f', size ** 2), axis('o', outputs), axis('tile', tiles), axis('c', inputs)]
  const multiply = equation('multiply', [], [f, o, t], [
    store(
      products,
      [f, plus(times(o, tiles), t)],
      sum([k], mul(load(transformed, f, plus(times(k, tiles), t)), load(windows, f, window(o, k)))),
    ),
  ])

  // A' m A, and whatever follows the convolution.
  const values = sandwich(output, matrixOf(size, size, (i, j) => load(products, size * i + j, plus(times(c.out, tiles), tile))))
  const results = tensor('results', [outputs, m, m, tiles])
  const others = e.axes.filter((a) => a !== c.row && a !== c.column)
  // Rows of a large tile share so much that all of them are computed at once, though not all of it fits into registers.
  const resultsTogether = size >= 8 ? m * m : m
  const places = Array.from({ length: m }, (_, i) => i)
  const stored = (i: IndexLike, j: IndexLike, value: Expression): Equation['stores'] => {
    const map = new Map<Axis, IndexLike>([[c.row, plus(times(rows, stepDown), i)], [c.column, plus(times(columns, stepAcross), j)]])
    return e.stores.map((s) => ({
      tensor: s.tensor,
      at: s.at.map((index) => substituteIndex(index, map)),
      value: substitute(replaceNode(s.value, main, value), map),
    }))
  }

  const lanes = (a: Axis, tile = 1): Loop => ({ axis: a, tile, vectorized: (a.extent as number) >= 4 })
  const plainly = (axes: readonly Axis[]): Loop[] => axes.map((a) => ({ axis: a, tile: 1 }))
  const overTiles = [...plainly(tileAxes.slice(0, -1)), lanes(tileAxes.at(-1)!)]
  const finish = (): Stage[] => {
    if (inRows) {
      const stores = places.flatMap((i) => places.flatMap((j) => stored(i, j, values[i]![j]!)))
      return [{
        equation: { ...e, sides: [], axes: [...others, rows, columns], stores },
        loops: [...plainly([c.out]), ...overTiles],
        unroll: new Map(),
        storesAtOnce: resultsTogether * e.stores.length,
      }]
    }
    const [i, j] = [axis('h', m), axis('w', m)]
    const back = equation(
      'invert',
      [],
      [c.out, any],
      places.flatMap((i) => places.map((j) => store(results, [c.out, i, j, any], values[i]![j]!))),
    )
    return [
      { equation: back, loops: [...plainly([c.out]), ...overTiles], unroll: new Map(), storesAtOnce: resultsTogether },
      {
        equation: {
          ...e,
          sides: [],
          axes: [...others, rows, i, columns, j],
          stores: stored(i, j, load(results, c.out, i, j, plus(times(rows, across), columns))),
        },
        loops: [...plainly([c.out, rows, i, columns]), lanes(j)],
        unroll: new Map(),
      },
    ]
  }
  const packAxes = staged.equation.axes.filter((a) => !fixed.has(a))
  const deep = c.channels.at(-1)!
  const per = channelBlocks && split.grid.slice(0, -1)
  const windowPhase: Stage = {
    equation: weigh,
    loops: [...plainly([...(c.keepsWindows ? [c.turns] : []), c.out, ...c.channels.slice(0, -1)]), lanes(deep)],
    unroll: new Map(),
    storesAtOnce: rowsTogether(size),
    ...(c.keepsWindows && { invariantOver: channelBlocks ? [channelBlocks] : [] }),
  }
  const group: StageGroup = {
    each: c.turns,
    phases: [
      ...(c.keepsWindows ? [] : [windowPhase]),
      {
        equation: multiply,
        loops: [{ axis: f, tile: 1 }, { axis: o, tile: Math.min(tiles >= 8 ? 4 : 8, outputs) }, lanes(t, tiles >= 8 ? 2 : 1)],
        unroll: new Map([[k, [8, 4, 2].find((d) => inputs % d === 0) ?? 1]]),
      },
      ...finish(),
    ],
  }
  return {
    grid: split.grid,
    stages: [
      ...(c.keepsWindows ? [windowPhase] : []),
      {
        equation: staged.equation,
        loops: [...plainly(packAxes.slice(0, -1)), lanes(packAxes.at(-1)!)],
        unroll: new Map(),
        ...(per && { invariantOver: per }),
      },
      {
        equation: pack,
        loops: [...plainly(c.channels), ...overTiles],
        unroll: new Map(),
        storesAtOnce: rowsTogether(size),
        ...(per && { invariantOver: per }),
      },
      group,
      ...sides(e, split),
    ],
    scratch: [staged.into, transformed, windows, products, ...(inRows ? [] : [results])],
    ...(split.rows !== undefined && { rows: split.rows }),
    summary: `Winograd F(${m}x${m}, ${c.window}x${c.window}), ${tiles} tiles of ${inputs} channels; prepares ${
      showElements([staged.into.shape, transformed.shape])
    }`,
  }
}

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
    if (node.kind === 'reduce' && node.axes.includes(over)) {
      found = node
      return
    }
    if (node.kind === 'binary') {
      visit(node.a)
      visit(node.b)
    }
    if (node.kind === 'unary') visit(node.a)
    if (node.kind === 'select') {
      visit(node.a)
      visit(node.b)
      visit(node.yes)
      visit(node.no)
    }
    if (node.kind === 'guard') visit(node.value)
  }
  visit(e)
  return found
}
