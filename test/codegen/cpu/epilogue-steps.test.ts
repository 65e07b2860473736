import { describe, expect, test } from 'vitest'
import type { Device } from '../../../bundle/device.ts'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { epilogueStep } from '../../../compiler/codegen/cpu/epilogue-steps.ts'
import { type Stage, stagesOf } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import type { KernelFunction, Statement } from '../../../compiler/codegen/kernel-function.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { exp, type Expression, neg } from '../../../compiler/ir/expression.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

const text = (follows: string, [h, w] = [8, 8], channels = 16): string => `
net t {
  input x: f32[8, ${h}, ${w}]
  a = x -> conv(${channels}, 1, bias: false) -> ${follows} -> conv(12, 1)
  output b = a
  loss = sum(mul(b, b))
}`

const kernelsOf = (net: string, program: string): readonly { name: string; stages: readonly Stage[]; kernel: KernelFunction }[] => {
  const scheduler = new CpuScheduler()
  return [...equationsOf(net, [program])].map(([name, e]) => {
    const nest = applySchedule(e, scheduler.scheduleOf(e))
    return { name, stages: nest.stages.flatMap(stagesOf), kernel: lowerLoopNest(e, nest) }
  })
}
const stepping = (net: string, program: string): string[] =>
  kernelsOf(net, program).filter(({ stages }) => stages.some((stage) => stage.step !== undefined)).map(({ name }) => name)

/** Stores of each step. */
const storesOfSteps = (body: readonly Statement[]): number[] =>
  body.flatMap((s) =>
    s.kind === 'step' ? [s.body.filter(({ kind }) => kind === 'store').length] : s.kind === 'for' ? storesOfSteps(s.body) : []
  )

test('behind clip a gradient loads what it was computed from, two vectors at a time', () => {
  const found = kernelsOf(text('batch_norm -> clip(0, 6)'), 'gradients')
    .filter(({ stages }) => stages.some((stage) => stage.step !== undefined))
  expect(found.map(({ name }) => name)).toEqual(['conv_2.dx+batch_norm_1+clip_1.dx'])
  // Tiles have eight vectors.
  expect(storesOfSteps(found[0]!.kernel.body)).toEqual([2, 2, 2, 2])
})

test('exponentials without a load are computed so, too', () => {
  const sum = [...equationsOf(text('relu'), ['gradients'])].find(([name]) => name.startsWith('conv_1'))![1]
  const behind = (value: (sum: Expression) => Expression): Equation => ({
    ...sum,
    stores: sum.stores.map((s) => ({ ...s, value: value(s.value) })),
  })
  const lanes = sum.axes.at(-1)
  expect(epilogueStep(behind(exp), lanes, 8)).toBe(2)
  expect(epilogueStep(behind(neg), lanes, 8)).toBeUndefined()
})

test('what loads nothing for each of its points is stored at once', () => {
  expect(stepping(text('relu'), 'infer')).toEqual([])
  expect(stepping(text('leaky_relu(slope: 0.5)'), 'infer')).toEqual([])
})

test('nor is a sum that is stored as it is cut', () => {
  expect(stepping(text('batch_norm -> relu'), 'gradients')).not.toContain('conv_1')
})

describe.each([[8, 8], [16, 16], [5, 7], [1, 9]])('on maps of %d x %d', (h, w) => {
  test.each([
    'gelu',
    'batch_norm(eps: 1e-2) -> clip(-1, 1)',
    'tanh -> conv(13, 3, pad: 1, groups: 13, bias: false) -> batch_norm(eps: 1e-2) -> silu',
  ])('gradients behind %s are those of the interpreter', async (follows) => {
    const net = text(follows, [h, w], 13)
    const gradients = async (device: Device): Promise<Record<string, Float32Array>> => {
      const opened = await open(compile(net, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 3, seed: 3 })
      const { grads } = await opened.step({ x: normals(3 * 8 * h * w, 5) }, { update: false })
      opened.close()
      device.close()
      return grads as Record<string, Float32Array>
    }
    const want = await gradients(interpreter())
    const [one, two] = [await gradients(await wasm({ threads: 1 })), await gradients(await wasm({ threads: 2 }))]
    expect(two).toEqual(one)
    for (const [name, values] of Object.entries(want)) {
      const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
      const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one[name]![i]!)), 0)
      expect(worst / scale, name).toBeLessThan(5e-5)
    }
  })
})
