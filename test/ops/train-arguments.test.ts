import { describe, expect, test } from 'vitest'
import { check } from '../../compiler/index.ts'

/** What is wrong with a train block, by code and message. */
function told(train: string): string[] {
  return check(`net n { input x: f32[2] input t: f32[2] loss = squared_loss(x -> fc(2), t) } train { batch 4 ${train} }`).map((
    { code, message },
  ) => `${code}: ${message}`)
}

describe('numbers of a training that cannot stay finite, or mean nothing, are refused', () => {
  test.each([
    ['solver sgd(lr: -0.1)', 'lr of sgd is at least 0, not -0.1'],
    ['solver sgd(momentum: 1.5)', 'momentum of sgd is less than 1, not 1.5'],
    ['solver sgd(momentum: 1)', 'momentum of sgd is less than 1, not 1'],
    // 1 - 1e-9 is 1 in float32.
    ['solver sgd(momentum: 0.999999999)', 'momentum of sgd is less than 1, not 0.999999999'],
    ['solver sgd(weight_decay: -1)', 'weight_decay of sgd is at least 0, not -1'],
    ['solver sgd(clip_gradients: -1)', 'clip_gradients of sgd is at least 0, not -1'],
    ['solver nesterov(momentum: 1)', 'momentum of nesterov is less than 1, not 1'],
    ['solver adagrad(delta: 0)', 'delta of adagrad is more than 0, not 0'],
    ['solver rmsprop(decay: 1)', 'decay of rmsprop is less than 1, not 1'],
    ['solver rmsprop(rms_decay: -0.1)', 'decay of rmsprop is at least 0, not -0.1'],
    ['solver adadelta(momentum: 1)', 'momentum of adadelta is less than 1, not 1'],
    ['solver adadelta(delta: 0)', 'delta of adadelta is more than 0, not 0'],
    ['solver adam(beta1: 1)', 'beta1 of adam is less than 1, not 1'],
    ['solver adam(beta2: 1)', 'beta2 of adam is less than 1, not 1'],
    // The smallest float32 is 1.4e-45.
    ['solver adam(delta: 1e-60)', 'delta of adam is more than 0, not 1e-60'],
    ['solver adamw(beta1: 2)', 'beta1 of adamw is less than 1, not 2'],
    ['solver adamw(weight_decay: -0.01)', 'weight_decay of adamw is at least 0, not -0.01'],
    ['solver sgd schedule step(gamma: 0.1, every: 0)', 'every of step is more than 0, not 0'],
    ['solver sgd schedule step(gamma: 0.1, every: 0 epochs)', 'every of step is more than 0, not 0'],
    ['solver sgd schedule step(gamma: -1, every: 2)', 'gamma of step is at least 0, not -1'],
    ['solver sgd schedule multistep(gamma: -0.1, at: [5])', 'gamma of multistep is at least 0, not -0.1'],
    ['solver sgd schedule exp(gamma: -0.9)', 'gamma of exp is at least 0, not -0.9'],
    ['solver sgd schedule inv(gamma: -1, power: 1)', 'gamma of inv is at least 0, not -1'],
    ['solver sgd schedule inv(gamma: 1, power: -1)', 'power of inv is at least 0, not -1'],
    ['solver sgd schedule poly(power: -1)', 'power of poly is at least 0, not -1'],
  ])('%s', (train, message) => expect(told(train)).toEqual([`argument/range: ${message}`]))

  test('a bound of 0 on gradients is one, and warned of: it leaves nothing of them', () =>
    expect(told('solver sgd(clip_gradients: 0)')).toEqual([expect.stringMatching(/^train\/clip: /)]))

  test('a rate of 0 is one, and warned of: nothing is learned', () =>
    expect(told('solver sgd(lr: 0, momentum: 0)')).toEqual([expect.stringMatching(/^train\/rate: /)]))

  test('a warm-up of no updates is one, and warned of: it changes nothing', () =>
    expect(told('solver sgd schedule warmup(0) -> poly(power: 0)')).toEqual([expect.stringMatching(/^train\/idle: warmup\(0\)/)]))

  test('a rate at which a training only diverges is one, and warned of', () =>
    expect(told('solver sgd(lr: 1e30)')).toEqual([expect.stringMatching(/^train\/rate: /)]))

  test.each([
    ['solver sgd(lr: 1e39)', 'lr of sgd is a number that a computer can hold, not 1e+39'],
    ['solver adam(weight_decay: 1e300)', 'weight_decay of adam is a number that a computer can hold, not 1e+300'],
    ['solver sgd schedule exp(gamma: 1e99)', 'gamma of exp is a number that a computer can hold, not 1e+99'],
  ])('%s', (train, message) => expect(told(train)).toEqual([`argument/kind: ${message}`]))
})

test('what can be is taken', () => {
  for (
    const train of [
      'solver sgd(lr: 0.1, momentum: 0)',
      'solver adam(beta1: 0, beta2: 0)',
      'solver rmsprop(decay: 0)',
      'solver sgd schedule exp(gamma: 1.1)',
      'solver sgd schedule step(gamma: 0, every: 0.5 epochs)',
      'solver sgd schedule sigmoid(gamma: -0.1, step: 5)',
      'solver sgd schedule warmup(1) -> poly(power: 0)',
    ]
  ) expect(told(train)).toEqual([])
})
