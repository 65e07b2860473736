import { describe, expect, test } from 'vitest'
import type { TrainSettings } from '../../dsl/program.ts'
import { codes, mistakes, net, program, underlined } from './programs.ts'

const NET = net('output o = x -> fc(3)\n  loss = softmax_loss(o, label)')
const text = (entries: string): string => `${NET}train {\n  ${entries}\n}\n`
const train = (entries: string): TrainSettings => program(text(entries)).train!
const SOLVER = 'solver sgd(lr: 0.1)'

test('nothing but a solver: defaults', () => {
  const { span, ...settings } = train(SOLVER)
  expect(settings).toEqual({
    augment: [],
    schedule: [{ call: 'fixed', args: {} }],
    batch: 1,
    seed: 1,
    accumulate: 1,
    solver: { call: 'sgd', args: { lr: 0.1, momentum: 0, weight_decay: 0, regularize: 'l2' } },
  })
})

test('everything', () => {
  const { span, batchSpan, ...settings } = train(`
    data mnist
    augment mirror, crop(28, pad: 4)
    batch 100
    epochs 2
    solver sgd(lr: 0.05, momentum: 0.9)
    schedule warmup(500) -> step(gamma: 0.1, every: 1 epoch)
    seed 7
    accumulate 4
    snapshot every 2 epochs
    test every 500 steps`)
  expect(settings).toEqual({
    data: { call: 'mnist', args: {} },
    augment: [{ call: 'mirror', args: {} }, { call: 'crop', args: { size: [28, 28], pad: 4 } }],
    batch: 100,
    epochs: 2,
    seed: 7,
    accumulate: 4,
    solver: { call: 'sgd', args: { lr: 0.05, momentum: 0.9, weight_decay: 0, regularize: 'l2' } },
    schedule: [{ call: 'warmup', args: { n: { count: 500, unit: 'steps' } } }, {
      call: 'step',
      args: { gamma: 0.1, every: { count: 1, unit: 'epochs' } },
    }],
    snapshot: { count: 2, unit: 'epochs' },
    test: { count: 500, unit: 'steps' },
  })
})

describe('data', () => {
  test.each([
    ['a known dataset', 'data mnist', { call: 'mnist', args: {} }],
    ['one with a path', 'data images("dir")', { call: 'images', args: { path: 'dir' } }],
    ['a path', 'data "some/dir"', { call: 'path', args: { path: 'some/dir' } }],
  ])('%s', (_, entry, want) => expect(train(`${SOLVER}\n ${entry}`).data).toEqual(want))
})

test('what changes every picture alike belongs to the net, and the line to write is told', () => {
  const [mistake, ...more] = mistakes(text(`${SOLVER}\n augment mirror, normalize(mean: [0.5, 0.4],\n   std: 0.25), crop(4)`))
  expect(more).toEqual([])
  expect(mistake).toMatchObject({
    code: 'train/augment-layer',
    message: 'normalize is a layer of the net: augment holds random changes of training alone',
    hint: 'write in the net, behind its inputs: x = x -> normalize(mean: [0.5, 0.4], std: 0.25)',
  })
  // As it stands.
  expect(program(text(SOLVER).replace('  output', '  x = x -> normalize(mean: [0.5, 0.4], std: 0.25)\n  output')).layers[0]).toMatchObject({
    op: 'normalize',
    inputs: [{ kind: 'input', name: 'x' }],
  })
  const other = text(`${SOLVER}\n augment normalize(0, 1)`).replace('input x: f32[4, 6, 6]', 'input v: f32[7]').replace(
    'x -> fc',
    'v -> fc',
  )
  expect(mistakes(other)[0]!.hint).toContain('y = y -> normalize(0, 1)')
  expect(codes(text(`${SOLVER}\n augment relu`))).toEqual(['train/augment-layer'])
})

test.each([
  ['schedule warmup(100, cosine)', 'schedules follow each other: warmup(500) -> cosine'],
  ['data imagenet', 'data of your own: images("folder"), files("data.csv")'],
  ['shuffle true', 'leave it out: every epoch has an order of its own'],
  ['patience 3', 'it is an option of the command, beside test every 1 epoch: fusenet train --patience 5'],
])('%s is told what to do', (setting, hint) => {
  expect(mistakes(text(`${SOLVER}\n ${setting}`)).map((m) => m.hint)).toEqual([hint])
})

describe('durations', () => {
  test.each([
    ['epochs', '2 epochs', { count: 2, unit: 'epochs' }],
    ['an epoch', '1 epoch', { count: 1, unit: 'epochs' }],
    ['steps', '500 steps', { count: 500, unit: 'steps' }],
    ['a number', '500', { count: 500, unit: 'steps' }],
    ['half an epoch', '0.5 epochs', { count: 0.5, unit: 'epochs' }],
    ['a unit alone', 'epoch', { count: 1, unit: 'epochs' }],
    ['a sum', '(1 + 2) epochs', { count: 3, unit: 'epochs' }],
  ])('%s', (_, duration, want) => {
    expect(train(`${SOLVER}\n schedule step(0.1, every: ${duration})`).schedule[0]!.args['every']).toEqual(want)
    expect(train(`${SOLVER}\n test every ${duration}\n snapshot every ${duration}`)).toMatchObject({ test: want, snapshot: want })
  })

  test('in lists, mixed with steps', () => {
    const at = (marks: string): unknown => train(`${SOLVER}\n schedule multistep(0.1, at: ${marks})`).schedule[0]!.args['at']
    expect(at('[1 epoch, 2.5 epochs]')).toEqual([{ count: 1, unit: 'epochs' }, { count: 2.5, unit: 'epochs' }])
    expect(at('[100, 200 steps, 2 * 3 epochs]')).toEqual([100, { count: 200, unit: 'steps' }, { count: 6, unit: 'epochs' }])
    expect(at('2 epochs')).toEqual([{ count: 2, unit: 'epochs' }])
    expect(at('epoch')).toEqual([{ count: 1, unit: 'epochs' }])
    expect(at('[32000, 48000]')).toEqual([32000, 48000])
  })

  test('as a constant of the file', () => {
    const { schedule } = program(`later = 2 epochs\nhalf = 0.5\n${text(`${SOLVER}\n schedule multistep(0.1, at: [later, half epochs])`)}`)
      .train!
    expect(schedule[0]!.args['at']).toEqual([{ count: 2, unit: 'epochs' }, { count: 0.5, unit: 'epochs' }])
  })

  test('a constant may be called like a unit', () =>
    expect(program(`n = 2\nsteps = 3\n${text('solver sgd(lr: n / steps)')}`).train!.solver.args['lr']).toBe(2 / 3))

  test.each([
    ['half a step', `${SOLVER}\n test every 0.5 steps`, 'argument/kind'],
    ['never', `${SOLVER}\n test every 0 epochs`, 'argument/range'],
    ['before the beginning', `${SOLVER}\n schedule multistep(0.1, at: [-1 epochs])`, 'argument/range'],
    ['half a step among others', `${SOLVER}\n schedule multistep(0.1, at: [1 epoch, 0.5])`, 'argument/kind'],
    ['a word among others', `${SOLVER}\n schedule multistep(0.1, at: [true])`, 'argument/kind'],
    ['half an epoch in all', `${SOLVER}\n epochs 0.5`, 'train/number'],
  ])('refused: %s', (_, entries, code) => expect(codes(text(entries))).toEqual([code]))

  test.each([
    ['snapshot 2 epochs', 'snapshot every 2 epochs'],
    ['test 1 epoch', 'test every 1 epoch'],
    ['schedule step(0.1, every 2 epochs)', "arguments are given with ':': every: 2"],
    ['schedule multistep(0.1, at: [1 day])', 'durations are counted in steps or epochs: 1 epochs'],
    ['accumulate 2 steps', "accumulate is a number alone, without 'steps': accumulate 2"],
    ['steps 10 epochs\n schedule step(0.1, every: 5)', "steps is a number alone, without 'epochs': steps 10"],
    ['snapshot every 1 hour', 'durations are counted in steps or epochs: 1 epochs'],
  ])('%s: a hint that leads on', (entry, hint) => expect(mistakes(text(`${SOLVER}\n ${entry}`)).map((d) => d.hint)).toEqual([hint]))

  test('what is added behind a unit', () => {
    expect(mistakes(text(`${SOLVER}\n schedule step(0.1, every: 1 epoch + 2)`))[0]!.hint).toBe(
      'a duration is one number and a unit: (1 + 2) epoch',
    )
  })
})

describe("what is the solver's may stand by itself", () => {
  test('where it takes it', () => {
    expect(train(`${SOLVER}\n regularize l1\n clip_gradients 5\n weight_decay 5e-4`).solver.args).toEqual({
      lr: 0.1,
      momentum: 0,
      weight_decay: 5e-4,
      regularize: 'l1',
      clip_gradients: 5,
    })
  })

  test('not where it does not', () => expect(codes(text('solver plain(0.1)\n regularize l1'))).toEqual(['argument/unknown']))
  test('not twice', () => expect(codes(text('solver sgd(0.1, weight_decay: 1e-4)\n weight_decay 5e-4'))).toEqual(['argument/twice']))
})

test('constants of the file', () => expect(program(`rate = 0.5\n${text('solver sgd(lr: rate / 10)')}`).train!.solver.args['lr']).toBe(0.05))

describe('what is wrong', () => {
  test.each([
    ['no solver', 'batch 10', 'train/solver', 'train'],
    ['an unknown setting', `${SOLVER}\n bach 10`, 'train/unknown', 'bach'],
    ['a setting twice', `${SOLVER}\n batch 10\n batch 20`, 'train/twice', 'batch 20'],
    ['epochs and steps', `${SOLVER}\n epochs 2\n steps 100`, 'train/both', 'steps 100'],
    ['half a batch', `${SOLVER}\n batch 0.5`, 'train/number', 'batch 0.5'],
    ['no batch', `${SOLVER}\n batch 0`, 'train/number', 'batch 0'],
    ['an unknown solver', 'solver sgdd(lr: 0.1)', 'argument/unknown-call', 'sgdd'],
    ['an unknown argument', 'solver sgd(lr: 0.1, momentm: 0.9)', 'argument/unknown', 'momentm'],
    ['a rate missing', 'solver sgd', 'argument/missing', 'sgd'],
    ['an unknown schedule', `${SOLVER}\n schedule warmup(5) -> cosinus`, 'argument/unknown-call', 'cosinus'],
    ['an unknown augmentation', `${SOLVER}\n augment mirror, cropp(28)`, 'argument/unknown-call', 'cropp'],
    ['two train blocks', `${SOLVER} }\ntrain { ${SOLVER}`, 'train/several', 'train'],
  ])('%s', (_, entries, code, at) => {
    const found = mistakes(text(entries))
    expect(found.map((d) => d.code)).toEqual([code])
    expect(underlined(found[0]!)).toBe(at)
  })

  test.each([['bach 10', '`batch`'], ['augment cropp(28)', '`crop`'], ['schedule cosin', '`cosine`']])(
    '%s: did you mean %s?',
    (entry, meant) => {
      expect(mistakes(text(`${SOLVER}\n ${entry}`))[0]!.hint).toContain(meant)
    },
  )

  test('several at once', () => {
    expect(codes(text('solver sgd(lr: -1)\n batch 0\n bach 1\n schedule cosin')).sort()).toEqual([
      'argument/range',
      'argument/unknown-call',
      'train/number',
      'train/unknown',
    ])
  })

  test('together with those of the net', () =>
    expect(codes(`${net('loss = softmax_loss(x -> fc(0), label)')}train { solver sgd(lr: -1) }`)).toEqual([
      'argument/range',
      'argument/range',
    ]))
})
