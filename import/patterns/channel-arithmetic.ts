import type { ModelLayer } from '../model-net.ts'
import { call, match, tensor } from './match.ts'
import { isOwned, named, ownerName, ownTensor, rates } from './owned.ts'
import { nodesOf, type Pattern } from './pattern.ts'

/** A layer that has room for a bias, plus a number a channel: its bias. MatMul + Add is how most exporters write a linear layer. */
export const ownBias: Pattern = {
  name: 'own-bias',
  ops: ['add'],
  rewrite: (graph, layer) => {
    const linearPlus = call('add', [
      call(['conv', 'deconv', 'fc'], ['x'], { as: 'linear', where: (a) => a['bias'] === false }),
      tensor('bias'),
    ])
    const found = match(graph, layer, linearPlus)
    const [linear, bias] = [found?.layers.get('linear'), found?.layers.get('bias')]
    const shape = graph.shape(layer.output)
    if (!found || !linear || !bias || !shape || !isOwned(graph, bias) || linear.sharesWith !== undefined) return false
    const axis = linear.op === 'fc' ? shape.length : 1
    const own = ownTensor(graph.tensor(bias.output), shape, [axis, axis])
    if (!own) return false
    const { bias: _, ...rest } = linear.arguments
    const weightRate = Array.isArray(rest['lr_mult']) ? Number(rest['lr_mult'][0]) : Number(rest['lr_mult'] ?? 1)
    const biasRate = Number(bias.arguments['lr_mult'] ?? 1)
    graph.replace(layer, [{
      ...linear,
      arguments: { ...rest, ...(weightRate === 1 && biasRate === 1 ? {} : { lr_mult: [weightRate, biasRate] }) },
      parameters: { ...linear.parameters, bias: own },
      output: layer.output,
      from: nodesOf(found.covered),
    }], found.covered)
    return true
  },
}

/** The same where the bias is a layer already; and `scale` without a bias in front of `bias`. */
export const biasLayer: Pattern = {
  name: 'bias-layer',
  ops: ['bias'],
  rewrite: (graph, layer) => {
    const found = match(
      graph,
      layer,
      call('bias', [call(['conv', 'deconv', 'fc', 'scale'], ['x'], { as: 'linear', where: (a) => a['bias'] === false })]),
    )
    const linear = found?.layers.get('linear')
    const bias = layer.parameters?.['bias']
    if (!found || !linear || !bias || [linear, layer].some((one) => one.sharesWith !== undefined || 'lr_mult' in one.arguments))
      return false
    // fc of a sample with several axes has its outputs on the last, bias adds to the first.
    if (linear.op === 'fc' && graph.shape(linear.output)?.length !== 1) return false
    const { bias: _, ...rest } = linear.arguments
    graph.replace(layer, [{
      ...linear,
      arguments: rest,
      parameters: { ...linear.parameters, bias },
      output: layer.output,
      from: nodesOf(found.covered),
    }], found.covered)
    return true
  },
}

/** x times a number a channel, plus a number a channel: `scale`, Caffe's layer. A batch_norm that was folded into nothing looks so too. */
const channelScale = call('add', [call('mul', ['x', tensor('weight')]), tensor('bias')])
const channelFactor = call('mul', ['x', tensor('weight')])
const channelBias = call('add', ['x', tensor('bias')])

/** Arithmetic with a tensor of a number a channel: `scale`, or `bias` where nothing is multiplied. */
export const channelArithmetic: Pattern = {
  name: 'channel-arithmetic',
  ops: ['add', 'mul'],
  rewrite: (graph, layer) => {
    const shape = graph.shape(layer.output)
    if (!shape) return false
    for (const [op, term] of [['scale', channelScale], ['scale', channelFactor], ['bias', channelBias]] as const) {
      const found = match(graph, layer, term)
      if (!found) continue
      const owners = [found.layers.get('weight'), found.layers.get('bias')].filter((owner) => owner !== undefined)
      const x = found.values.get('x')!
      // What is read of x is repeated where it is smaller: then it is arithmetic of maps, whoever stores them.
      if (graph.tensor(x) || graph.shape(x)?.join() !== shape.join()) continue
      const own = owners.map((owner) => (isOwned(graph, owner) ? ownTensor(graph.tensor(owner.output), shape, [1, 1]) : undefined))
      if (own.some((one) => one === undefined)) continue
      const roles = op === 'bias' ? ['bias'] : ['weight', 'bias'].slice(0, owners.length)
      const by: ModelLayer = {
        op,
        ...named(ownerName(owners[0]), layer),
        inputs: [x],
        arguments: { ...(op === 'scale' && owners.length === 1 ? { bias: false } : {}), ...rates(owners) },
        parameters: Object.fromEntries(roles.map((role, position) => [role, own[position]!])),
        output: layer.output,
        from: nodesOf(found.covered),
      }
      graph.replace(layer, [by], found.covered)
      return true
    }
    return false
  },
}
