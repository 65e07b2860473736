import { expect, test } from 'vitest'
import { compile } from '../../compiler/compile.ts'
import { interpreter } from '../../compiler/interpreter-device.ts'
import { open } from '../../runtime/index.ts'

const TEXT = 'net n { input x: f32[2] input t: f32[1] y = x -> fc(1) output o = y loss = squared_loss(y, t) } train { solver sgd(lr: 0.1) }'
const inputs = { x: [1, 2], t: [3] }

test.each([[[]], [['wasm']]])('a bundle for %j keeps which programs were asked for', async (targets) => {
  const bundle = compile(TEXT, { targets, programs: ['infer'] })
  const net = await open(bundle, { device: interpreter() })
  expect((await net.run({ x: [1, 2] }))['o']).toHaveLength(1)
  await expect(net.step(inputs)).rejects.toThrow(/no program step: it holds infer\. /)
  net.close()
})

test('without a choice of programs a bundle without plans does all', async () => {
  const bundle = compile(TEXT, { targets: [] })
  expect(bundle.manifest.programs).toBeUndefined()
  const net = await open(bundle, { device: interpreter() })
  expect((await net.step(inputs)).loss).toBeGreaterThan(0)
  net.close()
})

test('a batch beyond any memory is told as such', async () => {
  await expect(open(compile(TEXT, { targets: [] }), { device: interpreter(), batch: 2 ** 31 - 1 })).rejects.toThrow(
    /^at batch 2147483647 the interpreter takes [\d.]+ GiB, more than there is: use a smaller batch$/,
  )
})
