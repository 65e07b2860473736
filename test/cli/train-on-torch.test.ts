import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readBundle } from '../../runtime/node.ts'
import { hasTorch, PYTHON } from '../export/torch/cases.ts'
import { fusenet, lines, type Said } from './helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-on-torch-'))
const at = (name: string): string => join(folder, name)
writeFileSync(
  at('t.net'),
  `net t {
  input x: f32[3]
  input label: class[3]
  y = x -> fc(6, bias: false) -> batch_norm -> tanh -> fc(3)
  loss = softmax_loss(y, label)
  metric accuracy = accuracy(y, label)
}
train {
  batch 5
  epochs 50
  solver sgd(lr: 0.1, momentum: 0.9)
}
`,
)
writeFileSync(
  at('data.csv'),
  [
    'x1,x2,x3,label',
    ...Array.from({ length: 50 }, (_, i) => [0, 1, 2, 3].map((k) => (k < 3 ? ((i * 37 + k * 11) % 17) / 8 - 1 : i % 3)).join()),
  ].join('\n'),
)
const train = (...more: string[]): Promise<Said> => fusenet(['train', at('t.net'), '--data', at('data.csv'), '--json', ...more])
const stopped = (...more: string[]): Promise<Said> =>
  fusenet(['train', at('t.net'), '--data', at('data.csv'), '--json', ...more], { interruptAt: /"step":6,/ })

const say = (...more: string[]): Promise<Said> => fusenet(['train', at('t.net'), '--data', at('data.csv'), ...more])

test('says what does not go together, and what to install', async () => {
  const { code, err } = await say('--on', 'torch', '--python', at('no-python'))
  expect(code).toBe(1)
  expect(err).toMatch(/no-python is not there\ninstall it \(pip install torch numpy pillow; .*or name another Python by --python/)
  for (
    const [words, said] of [
      [['--nproc', '2'], '--nproc goes with --on torch'],
      [['--on', 'torch', '--seeds', '2'], "--seeds is of fusenet's own training"],
      [['--on', 'torch', '--no-wide'], "--no-wide is of fusenet's own training"],
      [['--on', 'torch', '--device', 'wasm'], '--device wasm is a device of fusenet'],
    ] as const
  ) {
    const told = await say(...words)
    expect(told.code).toBe(2)
    expect(told.err).toContain(said)
  }
})

test.skipIf(!hasTorch())('the bundle has the names of classes and columns that one of fusenet has (python3-torch)', async () => {
  writeFileSync(
    at('named.csv'),
    ['wide,label,high,deep', ...Array.from({ length: 40 }, (_, i) => `${i % 7},${['owl', 'cat', 'dog'][i % 3]},${i % 5},${i % 4}`)].join(
      '\n',
    ),
  )
  const inputs = async (...more: string[]) => {
    const said = await fusenet(['train', at('t.net'), '--data', at('named.csv'), '--epochs', '1', '--keep', 'none', ...more])
    expect(said.code, said.err).toBe(0)
    return (await readBundle(more.at(-1)!)).manifest.inputs
  }
  const torch = await inputs('--on', 'torch', '--python', PYTHON, '-o', at('named-torch'))
  expect(torch).toEqual(await inputs('-o', at('named')))
  expect(torch).toMatchObject([{ columns: ['wide', 'high', 'deep'] }, { classNames: ['cat', 'dog', 'owl'] }])
  expect(existsSync(at('named-torch.snapshots'))).toBe(false)
  const said = await fusenet(['eval', at('named-torch'), '--data', at('named.csv')])
  expect(said.code, said.err).toBe(0)
}, 120_000)

test.skipIf(!hasTorch())(
  'two processes of PyTorch stop, fusenet goes on, and it is the training of fusenet alone (python3-torch)',
  async () => {
    const began = await stopped('--on', 'torch', '--python', PYTHON, '--nproc', '2', '-o', at('both'))
    expect(began).toMatchObject({ code: 130, err: '' })
    const [start, ...events] = lines(began)
    expect(start).toMatchObject({ event: 'start', processes: 2, samples: 40, batch: 5, bundle: at('both') })
    expect(events.at(-1)).toMatchObject({
      event: 'interrupted',
      path: expect.stringContaining('step-'),
      resume: expect.stringContaining('--on torch'),
    })
    expect(await train('--resume', at('both.snapshots'))).toMatchObject({ code: 0 })
    expect(await train('-o', at('alone'))).toMatchObject({ code: 0 })
    const [both, alone] = [(await readBundle(at('both'))).weights!, (await readBundle(at('alone'))).weights!]
    expect([...both.keys()]).toEqual([...alone.keys()])
    const numbers = (data: ArrayLike<unknown>): number[] => Array.from(data, Number)
    for (const [name, { data }] of alone) {
      const [want, got] = [numbers(data), numbers(both.get(name)!.data)]
      const scale = Math.max(1e-3, ...want.map(Math.abs))
      expect(Math.max(...want.map((value, i) => Math.abs(value - got[i]!))) / scale, name).toBeLessThan(1e-4)
    }
  },
  300_000,
)
