import { type Pattern } from './pattern.ts'

/**
 * A resize by whole factors that is `upsample` under another name, or nothing where they are 1. Nearest: pixel (h + 1/2) / f - 1/2, rounded to a neighbour, and floor(h / f) are the
 * same pixel; so is every rounding where there is one pixel only. Linear: half-pixel centres, and an edge that goes on.
 */
export const upsample: Pattern = {
  name: 'upsample',
  ops: ['resize'],
  rewrite: (graph, layer) => {
    const [from, to] = [graph.shape(layer.inputs[0]!), graph.shape(layer.output)]
    if (from?.length !== 3 || to?.length !== 3 || from[0] !== to[0]) return false
    const factors = [to[1]! / from[1]!, to[2]! / from[2]!]
    const scale = layer.arguments['scale']
    // A scale that was rounded down to whole pixels is another grid.
    if (!factors.every(Number.isInteger) || (scale !== undefined && [scale].flat().some((one, axis) => one !== factors[axis]))) return false
    if (factors.every((factor) => factor === 1) && !graph.isKept(layer.output)) {
      graph.redirect(layer.output, layer.inputs[0] as string)
      graph.remove(layer)
      return true
    }
    const { mode = 'nearest', coordinates = 'half_pixel', rounding = 'round_prefer_floor' } = layer.arguments
    const isHalf = coordinates === 'half_pixel' || coordinates === 'half_pixel_symmetric' ||
      (coordinates === 'pytorch_half_pixel' && to[1]! > 1 && to[2]! > 1)
    const isOne = from[1] === 1 && from[2] === 1
    const isNearest = mode === 'nearest' &&
      ((isHalf && String(rounding).startsWith('round')) || (coordinates === 'asymmetric' && rounding === 'floor'))
    const by = factors[0] === factors[1] ? factors[0]! : factors
    if (isOne || isNearest || (mode === 'linear' && isHalf)) {
      const same = isOne || mode === 'nearest' ? 'nearest' : 'bilinear'
      graph.replace(layer, [{ ...layer, op: 'upsample', arguments: { factor: by, mode: same } }])
      return true
    }
    // Whole factors are as good as sizes, and hold for maps of other sizes too.
    const { size, ...rest } = layer.arguments
    if (size === undefined) return false
    graph.replace(layer, [{ ...layer, arguments: { scale: by, ...rest } }])
    return true
  },
}
