import { expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { type ContractionSchedule, parseSchedule, type PhasesSchedule, ScheduleMismatch, type WinogradGradientSchedule,
  type WinogradSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { compare } from './compare.ts'
import { equationsOf } from './run-loop-nest.ts'

/** Chains of layers whose maps, strides and channels tiles do not divide. */
const nets: readonly (readonly [string, string, string])[] = [
  [
    'strides, odd maps, points without a window',
    '4, 13, 15',
    `
    -> conv(8, 7, stride: 3, pad: 3)
    -> conv(12, 1, stride: 2)
    -> deconv(4, 4, stride: 2, pad: 1)
    -> deconv(4, 2, stride: 3)
    -> conv(5, 3, stride: 2, dilation: 2, pad: 2)
    -> conv(4, 3, stride: 2, dilation: 3, pad: 5)`,
  ],
  [
    'groups and depthwise',
    '9, 8, 11',
    `
    -> conv(9, 3, stride: 2, pad: 1, groups: 3)
    -> conv(9, 5, stride: 1, pad: 2, groups: 9)
    -> conv(9, 3, stride: 2, pad: 1, groups: 9)
    -> conv(9, 2, stride: 2, pad: 3, groups: 9)`,
  ],
  [
    'depthwise on maps narrower than a vector',
    '9, 6, 5',
    `
    -> conv(9, 3, stride: 2, pad: 1, groups: 9)
    -> conv(9, 3, pad: 1, groups: 9)
    -> conv(9, 5, pad: 2, groups: 9)
    -> conv(9, 3, stride: 2, pad: 1, groups: 9)
    -> conv(9, 5, pad: 2, groups: 9)`,
  ],
  [
    'columns that fill vectors better than rows',
    '4, 15, 10',
    `
    -> conv(12, 1)
    -> conv(16, 2, stride: 2)
    -> deconv(12, [4, 2], stride: [4, 2], pad: [1, 0])
    -> conv(8, [5, 2], stride: [5, 2])`,
  ],
  [
    'wide channels on small maps, few channels',
    '3, 8, 8',
    `
    -> conv(12, 3, pad: 1)
    -> conv(40, 3, stride: 2, pad: 1)
    -> conv(36, 3, stride: 2, pad: 1)
    -> conv(32, 3, pad: 1)`,
  ],
  [
    'rows and columns that stand in front of channels, or between',
    '4, 5, 8',
    `
    -> deconv(2, 2, stride: 2)
    -> transpose([0, 2, 1, 3])
    -> conv(4, 3, pad: 1)
    -> deconv(9, 4, stride: [1, 2], pad: 1)
    -> transpose([0, 3, 2, 1])
    -> conv(6, 3, stride: 2, pad: 1)
    -> deconv(16, 3, stride: 2)
    -> transpose([0, 2, 3, 1])`,
  ],
]

const scheduler = new CpuScheduler()
const convolutionsOf = (input: string, layers: string, after = ''): (readonly [string, Equation])[] =>
  [...equationsOf(
    `net s {
      input x: f32[${input}]
      input t: class[3]
      y = x -> conv(${input.split(',')[0]}, 1) -> batch_norm -> relu ${layers} -> batch_norm -> relu -> global_avg_pool -> fc(3)
      loss = softmax_loss(y, t)
    }
    ${after}`,
    ['gradients'],
  )].filter(([name]) => /conv/.test(name))

test.each(nets)('convolutions and their gradients: %s', (_, input, layers) => {
  for (const [name, e] of convolutionsOf(input, layers)) {
    const schedule = scheduler.scheduleOf(e)
    expect(parseSchedule(JSON.parse(JSON.stringify(schedule)))).toEqual(schedule)
    compare(name, e, schedule)
  }
})

test('a transposed convolution of a stride goes by phases, and a schedule of others is refused', () => {
  const [, e] = convolutionsOf('4, 6, 8', '-> conv(8, 3, stride: 2, pad: 1)').find(([name]) => /conv_2\.dx/.test(name))!
  const schedule = scheduler.scheduleOf(e) as PhasesSchedule
  expect(schedule).toMatchObject({ algorithm: 'phases', strides: { '2:h': 2, '3:w': 2 } })
  // Elements of the filter that phases meet, by rows and columns: 1, 1; 1, 2; 2, 1; 2, 2.
  expect(schedule.tiles.map((tile) => tile!.unroll['5:kh']! * tile!.unroll['6:kw']!)).toEqual([1, 2, 2, 4])
  const misfits = [{ ...schedule, strides: { '2:h': 3, '3:w': 2 } }, { ...schedule, tiles: schedule.tiles.slice(1) }, {
    ...schedule,
    tiles: schedule.tiles.map(() => null),
  }]
  for (const other of misfits) expect(() => applySchedule(e, other)).toThrow(ScheduleMismatch)
  expect(() => parseSchedule({ ...schedule, tiles: [{ packed: 'a' }] })).toThrow(ScheduleMismatch)
})

test.each(['15, 10', '14, 10', '24, 5', '16, 6', '10, 14'])(
  'so it does on maps of %s, whose columns or rows fill vectors better',
  (map) => {
    for (const filter of ['2, stride: 2', '[1, 2], stride: [1, 2]', '4, stride: 2, pad: 1']) {
      const [, e] = convolutionsOf(`4, ${map}`, `-> conv(8, ${filter})`).find(([name]) => /conv_2\.dx/.test(name))!
      expect(scheduler.scheduleOf(e).algorithm).toBe('phases')
    }
  },
)

const TRAINED = 'train { batch 8 solver sgd(lr: 0.1) }'

test.each([['4, 4', 4], ['2, 2', 2], ['3, 3', undefined]])(
  'maps of %s: Winograd over blocks of images, in training alone',
  (map, outputTile) => {
    const equations = convolutionsOf(`16, ${map}`, '-> conv(32, 3, pad: 1) -> batch_norm -> relu -> conv(16, 3, pad: 1)', TRAINED)
    for (const name of [/conv_2$/, /conv_3\.dx/]) {
      const { fusedProducer: _, ...e } = equations.find(([key]) => name.test(key))![1]
      const schedule = scheduler.scheduleOf(e) as WinogradSchedule
      const how = { algorithm: 'winograd', taskBlock: { '0:n': 32 } }
      if (outputTile) expect(schedule).toMatchObject({ ...how, outputTile })
      else expect(schedule.algorithm).toBe('contraction')
      compare(name.source, e, schedule)
      // A single image in inference would fill one lane of four.
      const { images: _many, ...inference } = e
      expect(scheduler.scheduleOf(inference)).not.toMatchObject(how)
      if (!outputTile) continue
      const misfits: readonly Record<string, number>[] = [{ '0:n': 12 }, { ...schedule.taskBlock, '2:h': 1 }]
      for (const taskBlock of misfits)
        expect(() => applySchedule(e, { ...schedule, taskBlock })).toThrow(ScheduleMismatch)
    }
  },
)

test('blocks of maps of several tiles are smaller where they are all of the tasks that there are', () => {
  const blockOf = (outputs: number): unknown => {
    const equations = convolutionsOf('16, 8, 8', `-> conv(${outputs}, 3, pad: 1)`, TRAINED)
    return scheduler.scheduleOf(equations.find(([key]) => key.endsWith('conv_2'))![1])
  }
  expect(blockOf(44)).toMatchObject({ tasks: ['0:n'], taskBlock: { '0:n': 16 } })
  expect(blockOf(256)).toMatchObject({ tasks: ['0:n', '1:o'], taskBlock: { '0:n': 32, '1:o': 32 } })
})

test('gradients of large filters by small maps: Winograd over blocks of images', () => {
  const [, e] = convolutionsOf('128, 2, 2', '-> conv(128, 3, pad: 1)', TRAINED).find(([name]) => /conv_2\.dweight/.test(name))!
  const schedule = scheduler.scheduleOf(e) as WinogradGradientSchedule
  expect(schedule).toMatchObject({ algorithm: 'winograd-gradient', outputTile: 2, batchBlock: 32 })
  compare('conv_2.dweight', e, schedule)
  const [out] = schedule.tasks as readonly [string]
  compare('conv_2.dweight', e, { ...schedule, tasks: [out, schedule.vectorAxis], taskBlock: { [out]: 64, [schedule.vectorAxis]: 32 } })
  expect(() => applySchedule(e, { ...schedule, batchBlock: 6 })).toThrow(ScheduleMismatch)
})

test('many channels whose number has no small divisor: Winograd in one block, forward over eight images', () => {
  const equations = convolutionsOf('388, 8, 8', '-> conv(12, 3, pad: 1)', TRAINED)
  const [forward, gradient] = [/conv_2$/, /conv_2\.dweight/].map((name) => equations.find(([key]) => name.test(key))![1]) as [
    Equation,
    Equation,
  ]
  const { fusedProducer: _, ...plain } = forward
  const schedule = scheduler.scheduleOf(plain)
  expect(schedule).toMatchObject({ algorithm: 'winograd', taskBlock: { '0:n': 8 } })
  compare('conv_2', plain, schedule)
  const ofFilter = scheduler.scheduleOf(gradient) as WinogradGradientSchedule
  expect(ofFilter).toMatchObject({ algorithm: 'winograd-gradient', vectorAxis: expect.stringMatching(/:c$/) })
  expect(ofFilter.taskBlock).toBeUndefined()
  compare('conv_2.dweight', gradient, ofFilter)
})

test.each([
  ['4, 16, 16', 'conv(4, 3, pad: 1, groups: 4)', [3, 3]],
  ['4, 19, 21', 'conv(4, 3, stride: 2, pad: 1, groups: 4)', [3, 3]],
  ['2, 6, 9', 'conv(2, 5, pad: 3, groups: 2)', [5]],
  ['2, 12, 17', 'conv(2, 11, stride: 2, pad: 5, groups: 2)', [6]],
  ['2, 8, 10', 'conv(2, 3, dilation: 2, pad: 2, groups: 2)', [3, 3]],
  ['2, 8, 10', 'conv(2, [1, 7], pad: [0, 3], groups: 2)', [7]],
  ['2, 8, 10', 'conv(2, [4, 3], groups: 2)', [2, 3]],
])('gradients of depthwise filters take whole maps, packed: %s, %s', (input, layer, tile) => {
  const [name, e] = convolutionsOf(input, `-> ${layer}`).find(([key]) => /conv_2\.dweight/.test(key))!
  const schedule = scheduler.scheduleOf(e) as ContractionSchedule
  expect(schedule).toMatchObject({ algorithm: 'contraction', vectorReduction: expect.stringMatching(/:w$/) })
  expect(schedule.packed).toContain(schedule.vectorFactor)
  expect(schedule.tasks.map((axis) => axis.slice(2))).toEqual(['chunk', 'g'])
  expect(Object.values(schedule.registerTile)).toEqual(tile)
  compare(name, e, schedule)
})

test('Winograd in blocks of output channels, each for all images', () => {
  const equations = convolutionsOf('32, 8, 8', '-> conv(32, 3, pad: 1)')
  const of = (name: RegExp): Equation => {
    // What is fused into a kernel wants the image first.
    const { fusedProducer: _, ...plain } = equations.find(([key]) => name.test(key))![1]
    return plain
  }
  const [forward, gradient] = [of(/conv_2$/), of(/conv_2\.dweight/)]
  const [a, b] = [scheduler.scheduleOf(forward), scheduler.scheduleOf(gradient)]
  expect(a).toMatchObject({ algorithm: 'winograd', tasks: ['0:n'], keepsFilter: true })
  expect(b).toMatchObject({ algorithm: 'winograd-gradient', vectorAxis: expect.stringMatching(/:c$/) })
  const inBlocks = { ...a, tasks: ['1:o', '0:n'], taskBlock: { '1:o': 16 }, channelBlock: 16 } as typeof a
  compare('conv_2', forward, inBlocks)
  expect(() => applySchedule(forward, { ...inBlocks, keepsFilter: false } as typeof a)).toThrow(ScheduleMismatch)
  const out = Object.keys((scheduler.candidates(gradient)[1] as { registerTile: object }).registerTile).find((name) => name.endsWith(':o'))!
  compare('conv_2.dweight', gradient, { ...b, tasks: [...b.tasks, out], taskBlock: { [out]: 16 } } as typeof b)
  const input = (b as WinogradGradientSchedule).vectorAxis
  const ofBoth = { ...b, tasks: [...b.tasks, out, input], taskBlock: { [out]: 16, [input]: 8 } } as typeof b
  compare('conv_2.dweight', gradient, ofBoth)
  expect(() => applySchedule(gradient, { ...ofBoth, tasks: [...b.tasks, input, out] } as typeof b)).toThrow(ScheduleMismatch)
})

test('weights that leave the cache are taken in blocks of columns, each for all images; smaller ones image by image', () => {
  const [gradient] = convolutionsOf('240, 2, 2', '-> conv(696, 1)').filter(([name]) => /conv_2\.dx/.test(name)).map(([, e]) => e)
  const { fusedProducer: _, ...plain } = gradient!
  const schedule = scheduler.scheduleOf(plain)
  expect(schedule).toMatchObject({ tasks: ['1:c', '0:n'], taskBlock: { '1:c': 80 }, packed: [] })
  compare('conv_2.dx', plain, schedule)
  const smaller = convolutionsOf('64, 2, 2', '-> conv(96, 1)').find(([name]) => /conv_2\.dx/.test(name))![1]
  expect(scheduler.scheduleOf(smaller)).toMatchObject({ tasks: ['0:n'] })
})
