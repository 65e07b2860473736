import { expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { open } from '../../runtime/open.ts'

const net = (body: string): string =>
  `net n {\n  input image: f32[2, 6, 6]\n  input label: class[3]\n  ${body}\n  output prob = softmax(logits)\n  loss = softmax_loss(logits, label)\n}`
const parameters = (text: string): string[] => compile(text, { normalize: false }).manifest.parameters.map((p) => p.name)
const kernels = (text: string, normalize = true): unknown => {
  const { programs } = compile(text, { normalize, targets: ['wasm'] }).manifest.plans['wasm']!
  return Object.entries(programs).map((
    [name, { dispatches }],
  ) => [name, dispatches.map(({ name, facts }) => [name, facts!.flops, facts!.bytesRead, facts!.bytesWritten])])
}

test('the net is the one that was written without them', () => {
  const without = net('logits = image -> conv(4, 3, bias: false) as conv1 -> relu -> fc(3)')
  const one = net('logits = image -> conv(4, 3, bias: false) as conv1 -> batch_norm as bn1 -> relu -> fc(3)')
  const caffe = net('logits = image -> conv(4, 3, bias: false) as conv1 -> batch_norm(affine: false) -> scale(bias: true) -> relu -> fc(3)')
  for (const text of [one, caffe]) {
    expect(parameters(text)).toEqual(['conv1.weight', 'fc_1.weight', 'fc_1.bias'])
    expect(kernels(text, false)).toEqual(kernels(without))
  }
})

test('a scale of its own stays, and so does one whose weights another shares', () => {
  expect(parameters(net('logits = image -> conv(4, 3) as c -> batch_norm as b -> scale as s -> fc(3) as f'))).toEqual([
    'c.weight',
    'c.bias',
    's.weight',
    's.bias',
    'f.weight',
    'f.bias',
  ])
  expect(parameters(net('logits = image -> scale as s -> conv(4, 3) as c -> relu -> fc(3) as f'))).toContain('s.weight')
  expect(
    parameters(
      net('a = image -> batch_norm(affine: false) -> scale as s\n  b = image -> scale(weights: s)\n  logits = add(a, b) -> fc(3) as f'),
    ),
  ).toContain('s.weight')
})

test('a net in front of which nothing is left gives its input', async () => {
  const bundle = compile('net n {\n  input x: f32[2]\n  output y = x -> batch_norm\n}', { normalize: false })
  const opened = await open({ ...bundle, manifest: { ...bundle.manifest } }, { device: 'wasm', batch: 2 })
  expect(Array.from((await opened.run({ x: [1, 2, 3, 4] }))['y']!)).toEqual([1, 2, 3, 4])
  opened.close()
})

test('it carries no text, from which another net would be compiled', async () => {
  const bundle = compile(net('logits = image -> conv(4, 3) -> batch_norm -> fc(3)'), { normalize: false })
  expect(bundle.manifest.source.files).toEqual([])
  await expect(open(bundle, { device: interpreter() })).rejects.toThrow(/carries no text/)
})
