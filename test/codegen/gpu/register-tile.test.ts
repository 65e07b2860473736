import { expect, test } from 'vitest'
import { candidates } from '../../../compiler/codegen/gpu/choose.ts'
import { HARDWARE, SOFTWARE } from '../../../compiler/codegen/gpu/cost-model.ts'
import { compile, compileFor } from '../../../compiler/compile.ts'
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

test('such a net is compiled', () => {
  expect(() => compile(oneRow(18))).not.toThrow()
})
