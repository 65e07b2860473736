import { expect, test } from 'vitest'
import { compile, type ScheduleUse } from '../../compiler/index.ts'
import { compileFor } from '../../compiler/compile.ts'
import { kernelKey } from '../../compiler/ir/kernel-key.ts'
import { wasm } from '../../compiler/targets/wasm/target.ts'

/** What a file of tuned schedules does to a bundle. */
const text = 'net s { input x: f32[16, 16, 16] y = x -> conv(16, 3, pad: 1) -> relu output out = y }'
const programs = ['infer'] as const
const equation = compileFor(text, [wasm], { programs }).pipelines[0]!.programs[0]!.steps.map((s) => s.fused.equation).find((e) =>
  /conv/.test(e.name)
)!
const uses: ScheduleUse[] = []
const compiled = (schedule?: object) => {
  uses.length = 0
  const bundle = compile(text, {
    targets: ['wasm'],
    programs,
    ...(schedule && { schedules: { wasm: { [kernelKey(equation)]: schedule, 'of another net': {} } } }),
    onSchedules: (use) => uses.push(use),
  })
  const { dispatches } = bundle.manifest.plans['wasm']!.programs['infer']!
  return {
    files: [...bundle.files].map(([name, data]) => [name, Buffer.from(data).toString('base64')]),
    hows: dispatches.map((d) => d.facts!.how),
  }
}
const usual = compiled()

test('a direct schedule takes the place of Winograd', () => {
  const direct = wasm.candidates!(equation, 1).find((schedule) => (schedule as { algorithm: string }).algorithm === 'contraction')!
  expect(usual.hows.some((how) => /Winograd/.test(how!))).toBe(true)
  expect(compiled(direct).hows.some((how) => /Winograd/.test(how!))).toBe(false)
  expect(uses).toEqual([{ target: 'wasm', compiled: true, used: [equation.name], refused: [], others: 1 }])
})

const other = wasm.candidates!(equation, 1).at(-1)!
test.each<[string, object, RegExp]>([
  ['of an older version: ranks in the model of that time', { winograd: false, tile: 3 }, /no algorithm/],
  ['of an older version: the default', {}, /no algorithm/],
  ['of another target', { tile: { '1:o': 4 }, unroll: { '4:c': 2 } }, /no algorithm/],
  ['with an axis that the equation does not have', { ...other, vectorAxis: '7:z' }, /no axis 7:z/],
  ['with steps that do not divide a sum', { ...other, unroll: { '4:c': 5 } }, /c cannot be written out by 5/],
])('a schedule is passed over, never misread, and that is told: %s', (_, schedule, why) => {
  expect(compiled(schedule)).toEqual(usual)
  expect(uses).toEqual([
    { target: 'wasm', compiled: true, used: [], refused: [{ kernel: equation.name, why: expect.stringMatching(why) }], others: 1 },
  ])
})

test('without Winograd a schedule by it is passed over', () => {
  const [winograd] = wasm.candidates!(equation, 1)
  const told: ScheduleUse[] = []
  const schedules = { wasm: { [kernelKey(equation)]: winograd! } }
  compile(text, { targets: ['wasm'], programs, precise: true, schedules, onSchedules: (use) => told.push(use) })
  expect(told.map(({ used, refused }) => [used, refused.map(({ why }) => why)])).toEqual([[[], [expect.stringMatching(/Winograd/)]]])
})

test('of a target that is not compiled for, that is told', () => {
  const told: ScheduleUse[] = []
  compile(text, { targets: ['webgpu'], programs, schedules: { wasm: { a: {} } }, onSchedules: (use) => told.push(use) })
  expect(told).toEqual([{ target: 'wasm', compiled: false, used: [], refused: [], others: 0 }])
})
