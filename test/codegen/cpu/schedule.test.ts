import { describe, expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { type CpuSchedule, parseSchedule, ScheduleMismatch } from '../../../compiler/codegen/cpu/schedule.ts'
import { type Equation, reads, writes } from '../../../compiler/ir/equation.ts'
import { bufferOf } from '../../../compiler/ir/tensor.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'
import { printFunction } from '../../../compiler/targets/wasm/print.ts'
import { equationsOf, runLoopNest } from './run-loop-nest.ts'

/** Convolutions that Winograd computes and that it does not, statistics on the way, a pool, sums over the batch. */
const text = `
net s {
  input x: f32[3, 8, 16]
  input label: class[3]
  y = x -> conv(16, 3, pad: 1) as first -> batch_norm -> relu -> conv(16, 3, pad: 1) as second -> batch_norm -> relu -> max_pool(2)
  z = y -> conv(6, 3, stride: 2, pad: 1) as third -> batch_norm -> relu -> fc(3)
  loss = softmax_loss(z, label)
}`
const programs = ['gradients']
const equations = equationsOf(text, programs)
const scheduler = new CpuScheduler()
const everything = [...equations].flatMap(([name, e]) => scheduler.candidates(e).map((schedule, i) => ({ name, i, e, schedule })))
const named = (name: RegExp): Equation => [...equations].find(([key]) => name.test(key))![1]

/** What a kernel is: its code and the memory that it needs. */
const kernelOf = (e: Equation, schedule: CpuSchedule): string => {
  const lowered = lowerLoopNest(e, applySchedule(e, schedule), bufferOf)
  const { locals, code } = printFunction(lowered, { math: 0 })
  return JSON.stringify([locals, code.bytes, lowered.grid.map((g) => g.extent)])
}

test('every algorithm is met', () => {
  expect(new Set(everything.map(({ schedule }) => schedule.algorithm))).toEqual(
    new Set(['pointwise', 'contraction', 'phases', 'winograd', 'winograd-gradient']),
  )
})

test('a schedule goes through JSON, and lowers an equal equation of another compilation to the same kernel', () => {
  const again = equationsOf(text, programs)
  for (const { name, i, e, schedule } of everything) {
    const back = parseSchedule(JSON.parse(JSON.stringify(schedule)))
    expect(back).toEqual(schedule)
    // Other tiles of the same algorithm show nothing more.
    if (i > 1) continue
    expect(kernelOf(again.get(name)!, back), `${name} by ${JSON.stringify(schedule)}`).toBe(kernelOf(e, schedule))
  }
})

test('a schedule computes what its equation says', () => {
  for (const { name, i, e, schedule } of everything) {
    if (i > 1 || (schedule.algorithm === 'pointwise' && !schedule.split && e.sides.length === 0)) continue
    const inputs = reads(e).map((t, k) =>
      [t, Float64Array.from({ length: elementCount(t, 2) }, (_, j) => 1.5 + Math.sin(1 + 1.7 * j + 13 * k))] as const
    )
    const [want, got] = [
      new Map(inputs.map(([t, d]) => [t, d.slice() as Numbers])),
      new Map(inputs.map(([t, d]) => [t, d.slice() as Numbers])),
    ]
    evaluateEquation(e, want, { batch: 2 })
    runLoopNest(applySchedule(e, schedule), got, 2)
    for (const t of writes(e)) {
      const [a, b] = [Array.from(want.get(t)!), Array.from(got.get(t)!)]
      const scale = a.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)
      const worst = a.reduce((m, v, j) => Math.max(m, Math.abs(v - b[j]!)), 0)
      expect(worst / scale, `${t.name} of ${name} by ${JSON.stringify(schedule)}`).toBeLessThan(1e-10)
    }
  }
})

test('equations of one shape share a schedule, and the order of its candidates is fixed', () => {
  const again = equationsOf(text.replaceAll('first', 'other'), programs)
  const other = new CpuScheduler()
  expect([...again.values()].map((e) => other.candidates(e))).toEqual([...equations.values()].map((e) => scheduler.candidates(e)))
})

test('precise leaves Winograd out', () => {
  const precise = new CpuScheduler({ precise: true })
  for (const e of equations.values()) {
    expect(precise.candidates(e).filter((s) => /winograd/.test(s.algorithm))).toEqual([])
    expect(scheduler.candidates(e).filter((s) => !precise.allows(s))).toEqual(
      scheduler.candidates(e).filter((s) => /winograd/.test(s.algorithm)),
    )
  }
})

describe('refused', () => {
  const schedulesOf = (e: Equation): readonly CpuSchedule[] => scheduler.candidates(e)
  const conv = [...equations.values()].find((e) => schedulesOf(e)[0]!.algorithm === 'winograd' && schedulesOf(e).length > 1)!
  const winograd = schedulesOf(conv)[0] as CpuSchedule & { algorithm: 'winograd' }
  const direct = schedulesOf(conv).find((s) => s.algorithm === 'contraction' && s.vectorAxis) as CpuSchedule & { algorithm: 'contraction' }
  const pointwise = everything.find(({ schedule: s, e }) => s.algorithm === 'pointwise' && e.sides.length === 0 && s.tasks[0] === '0:n')!
  const strided = everything.find(({ schedule }) => schedule.algorithm === 'phases')!
  const phases = { e: strided.e, schedule: strided.schedule as CpuSchedule & { algorithm: 'phases' } }
  const tiles = (change: object): CpuSchedule => ({ ...phases.schedule, tiles: phases.schedule.tiles.map((t) => t && { ...t, ...change }) })
  const gradient = [...equationsOf('net f {\n  input x: f32[256]\n  y = x -> fc(256)\n  loss = sum(mul(y, y))\n}', programs)]
    .find(([name]) => name.startsWith('fc_1.dweight'))![1]
  const inBlocks = { e: gradient, schedule: scheduler.scheduleOf(gradient) as CpuSchedule & { algorithm: 'contraction' } }
  const badJson: readonly [string, unknown, RegExp][] = [
    ['a rank in the list of an older version', { winograd: false, tile: 3 }, /no algorithm/],
    ['the default of an older version', {}, /no algorithm/],
    ['no object', [winograd], /an object/],
    ['another algorithm', { ...winograd, algorithm: 'fft' }, /no algorithm "fft"/],
    ['a field too many', { ...winograd, tile: 3 }, /no field tile/],
    ['a field too few', { ...winograd, channelBlock: undefined }, /channelBlock is not a size/],
    ['a factor packed twice', { ...direct, packed: ['a', 'a'] }, /packed is not/],
    ['a tile that is none', { ...phases.schedule, tiles: [{}] }, /tiles is not/],
    ['a field too many in a tile', tiles({ batchBlock: 4 }), /tiles is not/],
    ['a block of images that is no number', { ...inBlocks.schedule, batchBlock: '8' }, /batchBlock is not/],
    ['a size that is none', { ...direct, registerTile: { '1:o': 0 } }, /registerTile is not/],
  ]
  test.each(badJson)('%s', (_, json, message) => {
    expect(() => parseSchedule(json)).toThrow(ScheduleMismatch)
    expect(() => parseSchedule(json)).toThrow(message)
  })

  const misfits: readonly [string, () => Equation, CpuSchedule, RegExp][] = [
    ['an axis that is not there', () => conv, { ...direct, vectorAxis: '9:q' }, /no axis 9:q/],
    ['a schedule of another equation', () => named(/pool_1(?!\.d)/), winograd, /sum of products/],
    ['tiles that do not cover the map', () => conv, { ...winograd, outputTile: 5 }, /tiles of 5/],
    ['channels that a block does not divide', () => conv, { ...winograd, channelBlock: 5 }, /channels/],
    ['a block that does not divide its axis', () => conv, { ...direct, taskBlock: { [direct.vectorAxis!]: 3 } }, /blocks of 3/],
    [
      'blocks of images where both factors are of an image',
      () => conv,
      { ...direct, taskBlock: { [direct.tasks[0]!]: 4 } },
      /same for all/,
    ],
    ['blocks of images of single points', () => pointwise.e, { ...pointwise.schedule, taskBlock: { '0:n': 4 } }, /one image/],
    ['blocks of images of phases', () => phases.e, { ...phases.schedule, taskBlock: { '0:n': 4 } }, /one image/],
    ['tasks of rows that have phases', () => phases.e, {
      ...phases.schedule,
      tasks: [...phases.schedule.tasks, ...Object.keys(phases.schedule.strides)],
    }, /counts no tasks/],
    ['other strides', () => phases.e, { ...phases.schedule, strides: {} }, /strides are others/],
    ['a phase too few', () => phases.e, { ...phases.schedule, tiles: phases.schedule.tiles.slice(1) }, /phases/],
    ['an input that some phases have packed', () => phases.e, {
      ...phases.schedule,
      tiles: phases.schedule.tiles.map((t, i) => t && { ...t, packed: i === 0 ? ['a', 'b'] : t.packed }),
    }, /packed/],
    ['blocks of images beyond all memory', () => inBlocks.e, { ...inBlocks.schedule, batchBlock: 2 ** 40 }, /cannot be packed/],
    ['blocks of images that are no whole rows', () => inBlocks.e, { ...inBlocks.schedule, batchBlock: 6 }, /whole rows/],
    ['blocks of images that are not packed', () => inBlocks.e, { ...inBlocks.schedule, packed: [] }, /packed whole/],
    ['tasks without the batch', () => conv, { ...direct, tasks: [] }, /batch|statistics/],
    ['no axis in lanes', () => conv, { ...direct, vectorAxis: undefined } as unknown as CpuSchedule, /one axis in lanes/],
    ['a tile beyond the registers', () => conv, {
      ...direct,
      registerTile: Object.fromEntries(Object.keys(direct.registerTile).map((name) => [name, 16])),
    }, /too large/],
    ['unrolling an output axis', () => conv, { ...direct, unroll: { [direct.vectorAxis!]: 2 } }, /reduced axes/],
  ]
  test.each(misfits)('%s', (_, e, schedule, message) => {
    expect(() => applySchedule(e(), schedule)).toThrow(ScheduleMismatch)
    expect(() => applySchedule(e(), schedule)).toThrow(message)
  })
})
