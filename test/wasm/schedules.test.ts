import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { compileFor } from '../../compiler/compile.ts'
import { kernelKey } from '../../compiler/ir/kernel-key.ts'
import { wasm } from '../../compiler/targets/wasm/target.ts'

/** What a file of tuned schedules does to a bundle. */
const text = 'net s { input x: f32[16, 16, 16] y = x -> conv(16, 3, pad: 1) -> relu output out = y }'
const programs = ['infer'] as const
const equation = compileFor(text, [wasm], { programs }).pipelines[0]!.programs[0]!.steps.map((s) => s.fused.equation).find((e) =>
  /conv/.test(e.name)
)!
const compiled = (schedule?: object) => {
  const bundle = compile(text, {
    targets: ['wasm'],
    programs,
    ...(schedule && { schedules: { wasm: { [kernelKey(equation)]: schedule } } }),
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
})

test.each<[string, object]>([
  ['of an older version: ranks in the model of that time', { winograd: false, tile: 3 }],
  ['of an older version: the default', {}],
  ['of another target', { tile: { '1:o': 4 }, unroll: { '4:c': 2 } }],
  ['with an axis that the equation does not have', { ...wasm.candidates!(equation, 1).at(-1)!, vectorAxis: '7:z' }],
])('a schedule is passed over, never misread: %s', (_, schedule) => {
  expect(compiled(schedule)).toEqual(usual)
})
