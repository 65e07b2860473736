import { call, match, type Match, numberAs, square, type Term } from './match.ts'
import type { LayerGraph } from './layer-graph.ts'
import { nodesOf, type Pattern } from './pattern.ts'

/** The mean over the channels around each, those outside as 0: the map as rows of channels, in windows of one column. */
const meanOfNeighbours = (x: Term): Term =>
  call('reshape', [
    call('avg_pool', [call('reshape', [call('pad', [call('reshape', [square(x)])], { as: 'pad' })])], { as: 'pool' }),
  ], { as: 'back' })

/** x / (k + alpha mean)^beta. */
const written = call('div', [
  'x',
  call('pow', [call('add', [call('mul', [meanOfNeighbours('x'), numberAs('alpha')]), numberAs('k')])], { as: 'pow' }),
])

/** The number of channels in a window, where it is one that `lrn` has: odd, its middle on the channel itself. */
function windowOf(graph: LayerGraph, { layers, values }: Match): number | undefined {
  const [pad, pool, back] = ['pad', 'pool', 'back'].map((name) => layers.get(name)!)
  const [map, rows, padded] = [values.get('x')!, pad!.inputs[0]!, pool!.inputs[0]!].map((value) => graph.shape(value))
  const { size, channels, value, mode } = pad!.arguments
  const { kernel, stride, pad: poolPad, dilation, count } = pool!.arguments
  if (map?.length !== 3 || rows?.length !== 3 || padded?.length !== 3 || !Array.isArray(kernel)) return undefined
  const window = Number(kernel[0])
  const added = [channels].flat()
  const isPadded = size === 0 && value === undefined && mode === undefined && added.length === 2 &&
    added.every((n) => n === (window - 1) / 2)
  const isMean = kernel[1] === 1 && stride === 1 && poolPad === 0 && dilation === undefined && count === undefined
  const isOfChannels = rows[0] === map[0] && rows[1] === 1 && padded[0] === 1 && padded[2] === rows[2] &&
    String(graph.shape(back!.output)) === String(map)
  return window % 2 === 1 && isPadded && isMean && isOfChannels ? window : undefined
}

/** PyTorch's LocalResponseNorm, which it has no operator of ONNX for and writes out. */
export const localResponseNorm: Pattern = {
  name: 'local-response-norm',
  ops: ['div'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, written)
    const size = found && windowOf(graph, found)
    const beta = Number(found?.layers.get('pow')!.arguments['exponent'])
    if (!found || size === undefined || !Number.isFinite(beta)) return false
    const [alpha, k] = ['alpha', 'k'].map((name) => found.numbers.get(name)!)
    const name = layer.name === undefined ? {} : { name: layer.name }
    graph.replace(layer, [{
      op: 'lrn',
      ...name,
      inputs: [found.values.get('x')!],
      arguments: { size, alpha: alpha!, beta, k: k! },
      output: layer.output,
      from: nodesOf(found.covered),
    }], found.covered)
    return true
  },
}
