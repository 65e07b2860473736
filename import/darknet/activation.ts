import type { Argument } from '../model-net.ts'
import type { NetBuilder } from './net-builder.ts'
import type { Options } from './options.ts'

type Emit = (op: string, inputs: readonly (string | number)[], args?: Readonly<Record<string, Argument>>) => string

/**
 * Darknet's activations (activations.h of 2018) in layers of the language: each computes the same value and gradient, `stair` the same
 * value. Those behind `tanh` are of later Darknets.
 */
const ACTIVATIONS: Readonly<Record<string, (x: string, emit: Emit) => string>> = {
  linear: (x) => x,
  logistic: (x, emit) => emit('sigmoid', [x]),
  // 2 / (1 + exp(-x)) - 1
  loggy: (x, emit) => emit('tanh', [emit('mul', [x, 0.5])]),
  relu: (x, emit) => emit('relu', [x]),
  elu: (x, emit) => emit('elu', [x]),
  // Its constants have five digits, those of the layer `selu` more: 4e-5 apart.
  selu: (x, emit) => emit('mul', [emit('elu', [x], { alpha: 1.6732 }), 1.0507]),
  relie: (x, emit) => emit('leaky_relu', [x], { slope: 0.01 }),
  leaky: (x, emit) => emit('leaky_relu', [x], { slope: 0.1 }),
  // x (x > 0) + 0.1 x
  ramp: (x, emit) => emit('add', [emit('relu', [x]), x], { coeff: [1, 0.1] }),
  hardtan: (x, emit) => emit('clip', [x], { lo: -1, hi: 1 }),
  // 0.001 x below 0, x up to 1, 0.001 (x - 1) + 1 above
  lhtan: (x, emit) => emit('add', [emit('clip', [x], { lo: 0, hi: 1 }), x], { coeff: [0.999, 0.001] }),
  // 0.125 x + 0.5 between -4 and 4, with a slope of 0.01 beyond
  plse: (x, emit) => emit('add', [emit('add', [emit('clip', [x], { lo: -4, hi: 4 }), x], { coeff: [0.115, 0.01] }), 0.5]),
  // floor(x / 2), and where floor(x) is odd x - floor(x) more
  stair: (x, emit) => {
    const step = emit('floor', [emit('mul', [x, 0.5])])
    return emit('add', [step, emit('relu', [emit('sub', [emit('add', [x, step], { coeff: [1, -2] }), 1])])])
  },
  tanh: (x, emit) => emit('tanh', [x]),
  mish: (x, emit) => emit('mish', [x]),
  swish: (x, emit) => emit('silu', [x]),
  relu6: (x, emit) => emit('clip', [x], { lo: 0, hi: 6 }),
  gelu: (x, emit) => emit('gelu', [x], { approximate: 'tanh' }),
}

/** Activations with which the language starts weights by msra. */
export const RECTIFIERS: readonly string[] = ['relu', 'leaky', 'relie']

/** Adds the activation that a section names. A section without the line has Darknet's default: logistic, or linear where it says so. */
export function activate(net: NetBuilder, options: Options, x: string, otherwise: 'logistic' | 'linear'): string {
  const name = options.text('activation') ?? otherwise
  const activation = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined
  if (name === 'stair')
    options.differs(
      'activation=stair: in training its steps have a gradient of 0, and the slopes between them one of 1; Darknet takes 1 for both',
    )
  if (activation) return activation(x, (op, inputs, args) => net.layer(options, op, inputs, args))
  options.problem(
    `activation=${name.slice(0, 40)} is not known; Darknet would go on with relu`,
    `write one of ${Object.keys(ACTIVATIONS).join(', ')}`,
  )
  return x
}
