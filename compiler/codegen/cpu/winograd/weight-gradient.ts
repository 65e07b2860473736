import { freeAxes } from '../../../ir/analysis.ts'
import { tensor, type Tensor } from '../../../ir/tensor.ts'
import { divisors } from '../../../ir/divisors.ts'
import { add, constant, type Expression, load, mul, substitute, sum, type Reduction } from '../../../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus, substitute as substituteIndex, times } from '../../../ir/affine.ts'
import { type Equation, equation, store } from '../../../ir/equation.ts'
import type { Loop, LoopNest } from '../loop-nest.ts'
import { packFactor } from '../packing.ts'
import { backwards, columnsOf, flatten, GOOD_ITEM, isDense, LEAST_CHANNELS, LEAST_INPUTS, type Matrix, matrixOf, plane, rowsTogether,
  sandwich, showElements, type Tile, TILE_SIZES, tilingOf, transformsOf } from './transforms.ts'

/**
 * The gradient of the windows by the same transformations turned around: with tiles d of inputs and e of output gradients,
 * dg = G' [ (B' d B) * (A e A') ] G, summed over tiles and images before the last step. Channels lie innermost throughout.
 */
export function winogradGradient(given: Equation, main: Reduction): LoopNest | undefined {
  const shape = couplingOf(given, main)
  if (!shape) return undefined
  const { leading, out, channel, windowRow, windowColumn, image, row, column } = shape
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const window = windowRow.extent as number
  const [height, width] = [row.extent as number, column.extent as number]
  const [outputs, inputs] = [out.extent as number, channel.extent as number]
  // Sums take every pixel once.
  const m = tilingOf(window, height, width, false)?.m
  if (m === undefined || inputs < LEAST_INPUTS[window]! || outputs < LEAST_CHANNELS || outputs % 4 !== 0) return undefined
  // Four input channels at a time; where there are few, four output channels, and transformations of four tiles of a row.
  const overInputs = inputs >= LEAST_CHANNELS && inputs % 4 === 0
  if (!overInputs && width / m < 4) return undefined
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
  const within = axis('w', m)
  const dense = overInputs
    ? packFactor('picture', substitute(product[shape.dense], block), fixed, column, channel)
    : packFactor(
      'picture',
      substitute(product[shape.dense], new Map<Axis, IndexLike>([...block, [column, plus(times(tileColumn, m), within)]])),
      fixed,
      tileColumn,
    )
  const strided = packFactor('gradient', substitute(product[shape.dense === 'a' ? 'b' : 'a'], block), fixed, column, out)
  if (dense?.value.kind !== 'load' || strided?.value.kind !== 'load') return undefined
  if (backwards(product[shape.dense], windowRow, row) || backwards(product[shape.dense], windowColumn, column)) return undefined
  const at = (value: Expression) => (i: number, j: number): Expression =>
    substitute(
      value,
      new Map<Axis, IndexLike>([
        [h, plus(times(tileRow, m), i)],
        [column, plus(times(tileColumn, m), j)],
        [within, j],
        [windowRow, 0],
        [windowColumn, 0],
      ]),
    )
  const transformed = tensor('transformed', [size ** 2, plane(tiles * inputs)])
  const gradients = tensor('gradients', [size ** 2, plane(tiles * outputs)])
  const totals = tensor('totals', [size ** 2, plane(outputs * inputs)])
  const transform = (name: string, matrix: Matrix, from: Tile, into: Tensor, a: Axis): Equation =>
    equation(
      name,
      [],
      [tileRow, tileColumn, a],
      flatten(sandwich(matrix, from)).map((value, f) => store(into, [f, plus(times(tile, a.extent as number), a)], value)),
    )
  const pack = transform('transform', input, matrixOf(size, size, at(dense.value)), transformed, channel)
  const packGradient = transform('transform_gradient', columnsOf(output), matrixOf(m, m, at(strided.value)), gradients, out)
  const [f, o, c, t] = [axis('f', size ** 2), axis('o', outputs), axis('c', inputs), axis('tile', tiles)]
  const place = (o: IndexLike, c: IndexLike): IndexLike => (overInputs ? plus(times(o, inputs), c) : plus(times(c, outputs), o))
  const total = [f, place(o, c)] as const
  const multiply = equation('multiply', [], [f, o, c], [
    store(
      totals,
      total,
      add(
        load(totals, ...total),
        sum([t], mul(load(transformed, f, plus(times(t, inputs), c)), load(gradients, f, plus(times(t, outputs), o)))),
      ),
    ),
  ])
  const clear = equation('clear', [], [f, axis('i', outputs * inputs)], [])
  const cleared: Equation = { ...clear, stores: [store(totals, clear.axes, constant(0))] }
  const windows = sandwich(columnsOf(weight), matrixOf(size, size, (i, j) => load(totals, size * i + j, place(out, channel))))
  const [stored] = given.stores as readonly [Equation['stores'][number]]
  const finish: Equation = {
    ...given,
    axes: [...leading, ...(overInputs ? [out, channel] : [channel, out])],
    stores: flatten(windows).map((value, k) => ({
      ...stored,
      at: stored.at.map((index) =>
        substituteIndex(index, new Map<Axis, IndexLike>([[windowRow, Math.floor(k / window)], [windowColumn, k % window]]))
      ),
      value,
    })),
  }
  const loops = (axes: readonly Axis[]): Loop[] =>
    axes.map((a, i) => (i === axes.length - 1 && (a.extent as number) >= 4 ? { axis: a, tile: 1, vectorized: true } : { axis: a, tile: 1 }))
  const packLoops = (axes: readonly Axis[], lanes: Axis): Loop[] => {
    const own = axes.filter((a) => !fixed.has(a))
    // Four columns of four channels are transposed, channels outermost: their maps often lie a power of two apart, so that
    // few of them fit into the first cache together.
    const channels = own.at(-1)!
    if (channels === lanes || (channels.extent as number) % 4 !== 0)
      return own.map((a) => ({ axis: a, tile: 1, ...(a === lanes && { vectorized: true }) }))
    return [{ axis: channels, tile: 4 }, ...own.slice(0, -1).map((a) => ({ axis: a, tile: 1, ...(a === lanes && { vectorized: true }) }))]
  }
  return {
    grid: leading,
    outerReduction: {
      axis: image,
      init: { equation: cleared, loops: loops(cleared.axes), unroll: new Map() },
      epilogue: {
        equation: finish,
        loops: loops(finish.axes.filter((a) => !leading.includes(a))),
        unroll: new Map(),
        storesAtOnce: window,
      },
    },
    stages: [{
      each,
      phases: [
        { equation: dense.equation, loops: packLoops(dense.equation.axes, dense.along), unroll: new Map() },
        { equation: strided.equation, loops: packLoops(strided.equation.axes, strided.along), unroll: new Map() },
        {
          equation: pack,
          loops: overInputs ? loops(pack.axes) : loops([channel, tileRow, tileColumn]),
          unroll: new Map(),
          storesAtOnce: rowsTogether(size),
        },
        { equation: packGradient, loops: loops(packGradient.axes), unroll: new Map(), storesAtOnce: rowsTogether(size) },
        {
          equation: multiply,
          loops: overInputs
            ? [{ axis: f, tile: 1 }, { axis: o, tile: 4 }, { axis: c, tile: 2, vectorized: true }]
            : [{ axis: f, tile: 1 }, { axis: c, tile: Math.min(4, inputs) }, { axis: o, tile: 2, vectorized: true }],
          unroll: new Map([[t, [8, 7, 4, 2].find((d) => tiles % d === 0) ?? 1]]),
        },
      ],
    }],
    scratch: [dense.into, strided.into, transformed, gradients, totals],
    summary: `Winograd F(${window}x${window}, ${m}x${m}), ${tiles} tiles of ${inputs} and ${outputs} channels; prepares ${
      showElements([dense.into.shape, strided.into.shape])
    }`,
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
    if (
      outs.length !== 1 || inDense.length !== 3 || !isDense(product[dense], row, windowRow!) ||
      !isDense(product[dense], column, windowColumn!) || windowRow!.extent !== windowColumn!.extent ||
      !TILE_SIZES[windowRow!.extent as number]
    ) continue
    return { leading, out: outs[0]!, channel: channel!, windowRow: windowRow!, windowColumn: windowColumn!, image, row, column, dense }
  }
  return undefined
}
