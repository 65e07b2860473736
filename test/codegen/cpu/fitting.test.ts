import { describe, expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { choosePlain } from '../../../compiler/codegen/cpu/plain.ts'
import { type Rule, RULES } from '../../../compiler/codegen/cpu/rules.ts'
import type { CpuSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import { simplify } from '../../../compiler/codegen/cpu/simplify.ts'
import { compileFor } from '../../../compiler/compile.ts'
import { interpreter } from '../../../compiler/index.ts'
import { type Equation, reads, writes } from '../../../compiler/ir/equation.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'
import { targetOf, wasm } from '../../../compiler/targets/wasm/target.ts'
import { type Device, open, wasm as wasmDevice } from '../../../runtime/index.ts'
import { compile } from '../../../compiler/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf, runLoopNest } from './run-loop-nest.ts'

/** Convolutions by Winograd, direct, with a stride, depthwise; inner products, statistics, a pool, a residual. */
const text = `
net s {
  input x: f32[4, 12, 12]
  input label: class[3]
  y = x -> conv(16, 3, pad: 1) -> batch_norm -> relu
  z = add(y -> conv(16, 3, pad: 1) -> batch_norm -> relu -> conv(16, 3, pad: 1, groups: 16) -> batch_norm, y) -> relu -> max_pool(2)
  logits = z -> conv(12, 3, stride: 2, pad: 1) -> group_norm(3) -> relu -> deconv(8, 2, stride: 2) -> batch_norm -> conv(8, 1) -> relu -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}`
const programs = ['gradients', 'infer']
const styles = ['merged', 'split'] as const

/** A rule that takes every sum of products for what Winograd's algorithm computes, in tiles that there are not. */
const misjudges: Rule = ({ equation }) => ({
  algorithm: 'winograd',
  tasks: equation.axes.slice(0, 1).map((a) => `0:${a.name}`),
  outputTile: 5,
  channelBlock: 4,
  keepsFilter: false,
})
/** All rules, each of which gets its tasks wrong. */
const wrongTasks: readonly Rule[] = RULES.map((rule): Rule => (c, limits) => {
  const schedule = rule(c, limits)
  return schedule && { ...schedule, tasks: ['9:nowhere'] }
})

describe('a rule whose schedule does not fit', () => {
  const target = targetOf({}, [misjudges, ...RULES])
  const compiled = (t: typeof target, style: (typeof styles)[number]) => compileFor(text, [t], { programs, style }).bundle
  const hows = (bundle: ReturnType<typeof compiled>) =>
    Object.values(bundle.manifest.plans['wasm']!.programs).flatMap(({ dispatches }) => dispatches.map((d) => d.facts!.how ?? ''))

  test.each(styles)('leaves the kernel to the next one, and that is told with the reason: %s', (style) => {
    const told = hows(compiled(target, style)).filter((how) => how.includes('does not fit'))
    expect(told.length).toBeGreaterThan(5)
    for (const how of told) expect(how).toMatch(/; winograd was the first choice and does not fit: \S.* \S/)
    expect(hows(compiled(wasm, style)).filter((how) => how.includes('does not fit'))).toEqual([])
  })

  test('gives the same bundle whatever was compiled before', () => {
    const first = compiled(target, 'merged')
    const later = targetOf({}, [misjudges, ...RULES])
    compileFor('net o { input a: f32[16, 12, 12] output y = a -> conv(16, 3, pad: 1) -> relu }', [later], {})
    const second = compiled(later, 'merged')
    expect(second.manifest).toEqual(first.manifest)
    expect([...second.files]).toEqual([...first.files])
  })

  test.each([['one rule in front', [misjudges, ...RULES]], ['all rules', wrongTasks]] as const)(
    'computes what the net says: %s',
    async (_, rules) => {
      const exact = interpreter()
      const cpu = await wasmDevice({ threads: 2 })
      try {
        for (const style of styles) {
          const { bundle } = compileFor(text, [targetOf({}, rules)], { programs, style })
          const gradients = async (made: typeof bundle, device: Device) => {
            const net = await open(made, { device, batch: 3, seed: 3, programs: ['gradients'] })
            const { grads } = await net.step({ x: normals(3 * 4 * 144, 1), label: Int32Array.of(0, 2, 1) }, { update: false })
            net.close()
            return grads
          }
          const got = await gradients(bundle, cpu)
          const want = await gradients(compile(text, { programs: ['gradients'] }), exact)
          for (const [name, values] of Object.entries(want)) {
            const scale = Array.from(values, Math.abs).reduce((a, b) => Math.max(a, b), 1e-2)
            const apart = Array.from(values, (v, i) => Math.abs(got[name]![i]! - v)).reduce((a, b) => Math.max(a, b), 0)
            expect(apart / scale, `${name}, ${style}`).toBeLessThan(3e-4)
          }
        }
      } finally {
        exact.close()
        cpu.close()
      }
    },
  )

  test('packs no weight: nothing else would read it so', () => {
    const preparedBy = (t: typeof target) =>
      compiled(t, 'merged').manifest.plans['wasm']!.programs['prepare']!.dispatches.map((d) => d.name)
    expect(preparedBy(wasm).some((name) => name.includes('winograd'))).toBe(true)
    expect(preparedBy(targetOf({}, wrongTasks)).some((name) => name.includes('winograd'))).toBe(false)
  })
})

test('candidates all fit', () => {
  const scheduler = new CpuScheduler({}, wrongTasks)
  for (const e of equationsOf(text, programs).values()) {
    const { prepacked: _, ...plain } = e
    for (const schedule of scheduler.candidates(plain)) expect(() => applySchedule(plain, schedule)).not.toThrow()
  }
})

test.each(styles)('the plain schedule fits every equation, and computes it: %s', (style) => {
  const { pipelines } = compileFor(text, [wasm], { programs, style })
  const equations = pipelines[0]!.programs.flatMap((p) => p.steps.map(({ fused }) => fused.equation))
  expect(equations.some(({ sides }) => sides.length > 0)).toBe(style === 'merged')
  for (const { prepacked: _, ...e } of equations as Equation[]) {
    const schedule: CpuSchedule = choosePlain(simplify(e).equation)
    const inputs = reads(e).map((t, k) =>
      [
        t,
        Float64Array.from({ length: elementCount(t, 2) }, (_, j) => (t.type === 'i32' ? j % 3 : 1.5 + Math.sin(1 + 1.7 * j + 13 * k))),
      ] as const
    )
    const [want, got] = [0, 1].map(() => new Map(inputs.map(([t, d]) => [t, d.slice() as Numbers]))) as [
      Map<never, Numbers>,
      Map<never, Numbers>,
    ]
    evaluateEquation(e, want, { batch: 2 })
    runLoopNest(applySchedule(e, schedule), got, 2)
    for (const t of writes(e)) {
      const [a, b] = [Array.from(want.get(t as never)!), Array.from(got.get(t as never)!)]
      const scale = a.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)
      expect(a.reduce((m, v, j) => Math.max(m, Math.abs(v - b[j]!)), 0) / scale, `${t.name} of ${e.name}`).toBeLessThan(1e-10)
    }
  }
})

test('what is no matter of fit stays an error', () => {
  const broken = targetOf({}, [() => {
    throw new TypeError('a fault of a rule')
  }])
  expect(() => compileFor(text, [broken], { programs: ['infer'] })).toThrow('a fault of a rule')
})
