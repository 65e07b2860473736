import type { LayerCall, NamedValue, Program, ValueRef } from '../../dsl/program.ts'

/**
 * The net without its normalizations: each batch_norm gives what it is given, and so does the scale behind one that has no gamma
 * and beta of its own (Caffe's spelling of the same layer). Nothing takes their place: a convolution with `bias: false` stays
 * without one. It is another net, for measuring what normalization costs; a scale whose weights another layer shares stays.
 */
export function dropNormalization(program: Program): Program {
  const { layers } = program
  const shared = new Set(layers.map((call) => call.attributes['weights']))
  // Caffe's other half of the layer.
  const isHalf = (call: LayerCall): boolean => call.op === 'scale' && !shared.has(call.name) && isBare(layers, call.inputs[0])
  const isDropped = (call: LayerCall): boolean => call.op === 'batch_norm' || isHalf(call)
  const kept = layers.filter((call) => !isDropped(call))
  const places = new Map(kept.map((call, i) => [call, i]))
  const now = (ref: ValueRef): ValueRef => {
    if (ref.kind === 'input') return ref
    const call = layers[ref.index]!
    const index = places.get(call)
    return index === undefined ? now(call.inputs[0]!) : { kind: 'layer', index }
  }
  const results = (list: readonly NamedValue[]): NamedValue[] => list.map((named) => ({ ...named, value: now(named.value) }))
  return {
    ...program,
    layers: kept.map((call) => ({ ...call, inputs: call.inputs.map(now) })),
    outputs: results(program.outputs),
    losses: results(program.losses),
    metrics: results(program.metrics),
  }
}

/** Whether a value is that of a batch_norm without gamma and beta. */
function isBare(layers: readonly LayerCall[], ref: ValueRef | undefined): boolean {
  const call = ref?.kind === 'layer' ? layers[ref.index]! : undefined
  return call?.op === 'batch_norm' && call.attributes['affine'] === false
}
