import { expect, test } from 'vitest'
import { check } from '../../compiler/check.ts'

const told = (train: string): string[] =>
  check({
    file: 'a.net',
    text:
      `net a {\n  input x: f32[4]\n  input t: class[3]\n  s = x -> fc(3)\n  output y = s\n  loss = softmax_loss(s, t)\n}\ntrain { ${train} }`,
  }).map(({ severity, code, message }) => `${severity} ${code} ${message}`)

test.each([
  ['adam(lr: 3)', /train\/rate adam with lr 3: each update moves every weight by about as much/],
  ['adam(0.9, 0.999)', /train\/rate adam with lr 0.9/],
  ['adamw(lr: 1, clip_gradients: 1)', /train\/rate/],
  ['rmsprop(lr: 1)', /train\/rate/],
  ['sgd(lr: 1e6)', /train\/rate sgd with lr 1000000: weights leave/],
  ['nesterov(lr: 30)', /train\/rate/],
  ['adadelta(lr: 300)', /train\/rate/],
  ['sgd(lr: 1e-50)', /train\/rate lr is 1e-50, which is 0 in float32: no weight moves/],
  ['sgd(lr: 0.1, clip_gradients: 1e-46)', /train\/clip clip_gradients is 1e-46, which is 0 in float32/],
  ['sgd(lr: 0.1, weight_decay: 5e4)', /train\/decay lr 0.1 times weight_decay 50000 is 5000: each update takes more than a weight/],
  ['adamw(lr: 0.01, weight_decay: 100)', /train\/decay .* is 1: each update takes all of a weight/],
  ['sgd(lr: 0.1, regularize: l1)', /train\/idle regularize: l1 changes nothing: weight_decay is 0/],
  ['sgd(lr: 0.1) schedule warmup(0) -> cosine', /train\/idle warmup\(0\) changes nothing: the rate is whole from the first update/],
])('%s is warned of', (solver, warning) => {
  expect(told(`solver ${solver}`)).toEqual([expect.stringMatching(warning)])
})

test('losses of which none counts are warned of', () => {
  const of = (...weights: number[]): string[] =>
    check({
      file: 'a.net',
      text: `net a {\n  input x: f32[4]\n  input t: class[3]\n  s = x -> fc(3)\n  output y = s\n${
        weights.map((weight, i) => `  loss l${i} = softmax_loss(s, t, weight: ${weight})\n`).join('')
      }}\ntrain { solver sgd }`,
    }).map(({ code }) => code)
  expect(of(0)).toEqual(['train/weight'])
  expect(of(0, 0)).toEqual(['train/weight'])
  expect(of(0, 1)).toEqual([])
})

test.each([
  'adam(lr: 0.1)',
  'sgd(lr: 3.2, momentum: 0.9)',
  'sgd(lr: 50, clip_gradients: 0.01)',
  'adadelta',
  'adagrad(lr: 1)',
  'adamw(lr: 1e-3, weight_decay: 1)',
  'sgd(lr: 0.1, weight_decay: 5e-4, regularize: l1)',
  'adam(lr: 1e-3, weight_decay: 0)',
])('%s is not', (solver) => {
  expect(told(`solver ${solver}`)).toEqual([])
})

test.each([
  // 0.95^t is below 1e-6 from 270 on, 0.1^(t / 10) from 60 on: epochs were meant.
  ['exp(gamma: 0.95) steps 5000', /train\/schedule hardly anything is learned behind update 27\d of 5000 updates/],
  ['step(gamma: 0.1, every: 10) data mnist batch 100 epochs 30', /behind update [67]\d of 18000 updates/],
  ['cosine(length: 100) steps 1000', /behind update 100 of 1000 updates/],
  ['exp(gamma: 1.5) steps 1000', /train\/schedule the rate of update 2\d\d of 1000 updates is more than float32 holds/],
  ['warmup(500) steps 100', /train\/schedule the warm-up is longer than the training of 100 updates/],
  ['warmup(5 epochs) -> cosine data cifar10 batch 128 epochs 3', /the warm-up is longer/],
])('schedule %s is warned of', (schedule, warning) => {
  expect(told(`solver sgd(lr: 0.1) schedule ${schedule}`)).toEqual([expect.stringMatching(warning)])
})

test.each([
  'exp(gamma: 0.95) steps 250',
  'exp(gamma: 0.95)',
  'step(gamma: 0.1, every: 10) epochs 30',
  'step(gamma: 0.1, every: 10 epochs) data mnist batch 100 epochs 30',
  'poly(power: 4) steps 1000',
  'warmup(100) -> cosine steps 100',
  'multistep(gamma: 0.1, at: [400, 600]) steps 500',
])('schedule %s is not', (schedule) => {
  expect(told(`solver sgd(lr: 0.1) schedule ${schedule}`)).toEqual([])
})
