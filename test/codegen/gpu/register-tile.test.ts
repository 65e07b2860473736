import { expect, test } from 'vitest'
import { candidates } from '../../../compiler/codegen/gpu/choose.ts'
import { HARDWARE, SOFTWARE } from '../../../compiler/codegen/gpu/cost-model.ts'
import { lower } from '../../../compiler/codegen/gpu/lower.ts'
import { verifyKernelFunction } from '../../../compiler/codegen/verify.ts'
import { compile, compileFor } from '../../../compiler/compile.ts'
import { bufferOf } from '../../../compiler/ir/tensor.ts'
import { CAPABILITIES } from '../../../compiler/targets/wgsl/print.ts'
import { wgsl } from '../../../compiler/targets/wgsl/target.ts'

/** In the gradient by the map, [n, o] times [o, w], the only axis of the map is an M-axis, and its statistics are gathered in blocks. */
const oneRow = (width: number): string => `
net row {
  input x: f32[1, 1, ${width}]
  input label: class[3]
  z = x -> scale -> batch_norm -> fc(3)
  output y = z
  loss = softmax_loss(z, label)
}`

test.each([17, 18, 21, 25, 30])('tiles along the M-axis cut blocks of statistics evenly: one channel of %i columns', (width) => {
  const equations = compileFor(oneRow(width), [wgsl], { programs: ['train'] }).pipelines[0]!.programs
    .flatMap((p) => p.steps.map((s) => s.fused.equation)).filter((e) => e.sides.length > 0)
  expect(equations.length).toBeGreaterThan(0)
  for (const e of equations) {
    for (const { tile } of [HARDWARE, SOFTWARE].flatMap((model) => candidates(e, model)))
      for (const { axis, size } of e.sides[0]!.blocks) expect(size % (tile.get(axis) ?? 1), `${e.name}, ${axis.name}`).toBe(0)
  }
})

/** Rows of an odd number of columns, or parts of a map whose rows no small tile divides: as many as a workgroup of 256 covers (WebGPU's limit). */
test.each([[17, 13], [24, 11], [93, 11], [186, 11], [226, 9], [682, 3], [155, 13], [80, 1], [33, 31]])(
  'a workgroup covers a block of statistics of a map of %i x %i',
  (height, width) => {
    const text = `
net map {
  input x: f32[5, ${height}, ${width}]
  input label: class[3]
  z = x -> conv(12, 3, pad: 1) -> batch_norm -> relu -> conv(6, 1) -> batch_norm -> global_avg_pool -> fc(3)
  output y = z
  loss = softmax_loss(z, label)
}`
    const equations = compileFor(text, [wgsl], { programs: ['train'] }).pipelines[0]!.programs
      .flatMap((p) => p.steps.map((s) => s.fused.equation)).filter((e) => e.sides.length > 0)
    expect(equations.length).toBeGreaterThan(2)
    for (const e of equations) {
      for (const model of [HARDWARE, SOFTWARE]) {
        for (const schedule of candidates(e, model, { mostStaged: 2 }))
          expect(verifyKernelFunction(lower(e, schedule, { bufferOf }), CAPABILITIES)).toEqual([])
      }
    }
  },
)

test('such a net is compiled', () => {
  expect(() => compile(oneRow(18))).not.toThrow()
})
