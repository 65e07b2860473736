import type { ModelTensor } from '../model-net.ts'
import { call, match } from './match.ts'
import { named } from './owned.ts'
import { nodesOf, type Pattern } from './pattern.ts'

const groups = call(['reshape', 'flatten'], [
  call('instance_norm', [call('reshape', ['x'], { as: 'parts' })], { as: 'norm' }),
], {})

/**
 * The channels of a group as one row, instance_norm of the rows, and back: how PyTorch exports GroupNorm before opset 18. Gamma and beta are behind it
 * (`affine-norm`); those of instance_norm say nothing there, and where they do it is no group_norm.
 */
export const groupNorm: Pattern = {
  name: 'group-norm',
  ops: ['reshape'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, groups)
    if (!found) return false
    const x = found.values.get('x')!
    const [parts, norm] = [found.layers.get('parts')!, found.layers.get('norm')!]
    const [shape, rows, back] = [graph.shape(x), graph.shape(parts.output), graph.shape(layer.output)]
    if (!shape || !rows || shape.join() !== back?.join() || shape.length < 2 || shape[0]! % rows[0]! !== 0) return false
    if (norm.arguments['affine'] !== false && !(isAll(norm.parameters?.['gamma'], 1) && isAll(norm.parameters?.['beta'], 0))) return false
    const eps = norm.arguments['eps'] ?? 1e-5
    graph.replace(layer, [{
      op: 'group_norm',
      ...named(layer),
      inputs: [x],
      arguments: { groups: rows[0]!, eps, affine: false },
      output: layer.output,
      from: nodesOf(found.covered),
    }], found.covered)
    return true
  },
}

const isAll = (tensor: ModelTensor | undefined, value: number): boolean => tensor?.values().every((one) => one === value) === true
