import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { arrays, holdOut } from '../../runtime/index.ts'
import { readBundle, readSnapshot } from '../../runtime/node.ts'
import { normals } from '../support/random-net.ts'
import { fusenet, json, lines, type Said } from './helper.ts'

/** Validation, the best weights, and how long to wait for better ones: of a training in one piece, of one that is stopped, and of one that is told nonsense. */

let folder: string
const at = (name: string): string => join(folder, name)
const CLASSES = ['ash', 'elm', 'oak']
/** 90 samples, of 3 classes in the shares 1, 2 and 3; a fifth of them tests. */
const ROWS = Array.from({ length: 90 }, (_, i) => [0, 1, 1, 2, 2, 2][i % 6]!)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-best-'))
  const noise = normals(180, 5)
  await writeFile(
    at('trees.csv'),
    `u,v,kind\n${ROWS.map((k, i) => `${k + noise[2 * i]!},${noise[2 * i + 1]! - k},${CLASSES[k]}`).join('\n')}\n`,
  )
  await writeFile(
    at('trees.net'),
    `net trees {
  input x: f32[2]
  input kind: class[3]
  logits = x -> fc(6) -> tanh -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, kind)
  metric right = accuracy(logits, kind)
  metric size = sum(logits)
}
train { batch 9  epochs 30  solver sgd(lr: 1.5, momentum: 0.9) }`,
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const CHOICE = ['--validation', '0.25', '--best', 'loss', '--patience', '3']
const train = (output: string, argv: readonly string[], interruptAt?: RegExp): Promise<Said> =>
  fusenet(
    ['train', at('trees.net'), '--data', at('trees.csv'), '-o', at(output), '--device', 'wasm', '--threads', '1', '--json', ...argv],
    { ...(interruptAt && { interruptAt }) },
  )
const of = (said: Said, event: string): any[] => lines(said).filter((line) => line.event === event)
const weightsOf = async (output: string): Promise<Map<string, number[]>> =>
  new Map([...(await readBundle(at(output))).weights!].map(([name, { data }]) => [name, [...data as Float32Array]]))
const run = async (output: string): Promise<string> => join(at(`${output}.snapshots`), (await readdir(at(`${output}.snapshots`)))[0]!)

test('the bundle has the weights of the best test on the way, of samples that were kept back, and says which', async () => {
  const said = await train('whole', CHOICE)
  expect(said.code, said.err).toBe(0)
  const tests = of(said, 'test').filter(({ part }) => part === 'validation')
  // The first lowest loss, by the events alone; three that are no lower end it.
  const least = tests.reduce((best, each) => (each.loss < best.loss ? each : best))
  expect(tests.length).toBe(tests.indexOf(least) + 4)
  expect(tests.map(({ best }) => best)).toEqual(tests.map(({ loss }, i) => tests.slice(0, i).every((before) => loss < before.loss)))
  expect(of(said, 'patience')).toEqual([{ event: 'patience', step: tests.at(-1).step, tests: 3 }])
  // 72 samples to train with, a fourth of them kept back: 54 / 9 updates an epoch.
  const best = { metric: 'loss', part: 'validation', keptBack: 18, value: least.loss, step: least.step, epoch: least.step / 6 }
  expect((await readBundle(at('whole'))).manifest.best).toEqual(best)
  const snapshot = await readSnapshot(join(await run('whole'), `step-${String(least.step).padStart(8, '0')}.safetensors`))
  for (const [name, values] of await weightsOf('whole')) expect(values, name).toEqual([...snapshot.tensors.get(name)!.data as Float32Array])
  const { classes } = of(said, 'start')[0]
  expect(classes.map(({ samples }: any) => samples.train + samples.validation + samples.test)).toEqual([15, 30, 45])
  // Of 12, 24 and 36 the largest fourths that are whole.
  expect(classes.map(({ samples }: any) => samples.validation / (samples.train + samples.validation))).toEqual([0.25, 0.25, 0.25])
  expect(json(await fusenet(['eval', at('whole'), '--data', at('trees.csv'), '--device', 'wasm', '--json'])).best).toEqual(best)
  const parted = await fusenet(['eval', at('whole'), '--data', at('trees.csv'), '--device', 'wasm', '--part', 'validation'])
  expect(parted.code).toBe(1)
  expect(parted.err).toContain('the best by loss of 18 samples that the training kept back (--validation)')
  expect(parted.err).toContain('the 18 samples that a training kept back by --validation are among those of --part train')
  // Compiled again it has the same weights, so they are still the best; with others they are not.
  const again = async (...argv: string[]): Promise<unknown> => {
    expect(
      (await fusenet(['compile', at('whole'), '-o', at('again'), '--style', 'split', '--programs', 'infer', '--targets', 'wasm', ...argv]))
        .code,
    ).toBe(0)
    return (await readBundle(at('again'))).manifest.best
  }
  expect(await again()).toEqual(best)
  expect(await again('--weights', join(at('whole'), 'weights.safetensors'))).toBeUndefined()
})

test('samples that are kept back are tested after each epoch, whoever chooses', async () => {
  const said = await train('kept', ['--validation', '0.25', '--epochs', '2'])
  expect(said.code, said.err).toBe(0)
  expect(of(said, 'test').map(({ part, step }) => [part, step])).toEqual([['validation', 6], ['validation', 12], [undefined, 12]])
})

test.each([['between tests', 11], ['while it is tested', 12]])(
  'stopped %s and resumed, it ends with the same weights, choice and test',
  async (_, step) => {
    const name = `stopped-${step}`
    const stopped = await train(name, CHOICE, new RegExp(`"step":${step},`))
    expect(stopped.code).toBe(130)
    const resume = of(stopped, 'interrupted')[0].resume.split(' ').slice(2)
    const rest = await fusenet(['train', ...resume, '--device', 'wasm', '--threads', '1', '--json'])
    expect(rest.code, rest.err).toBe(0)
    expect(await weightsOf(name)).toEqual(await weightsOf('whole'))
    expect((await readBundle(at(name))).manifest.best).toEqual((await readBundle(at('whole'))).manifest.best)
    // More patience goes on; another choice, or other samples kept back, is another training.
    const more = await fusenet(['train', ...resume, '--patience', '4', '--device', 'wasm', '--json'])
    expect(more.code, more.err).toBe(0)
    const refused = await fusenet(['train', ...resume, '--best', 'right', '--validation', '0.3', '--freeze', 'fc_1'])
    expect(refused.code).toBe(1)
    for (const wrong of ['--best right: it has loss:lower', '--validation 0.3: it has 0.25']) expect(refused.err).toContain(wrong)
    expect((await fusenet(['train', ...resume, '--freeze', 'fc_1'])).err).toContain(
      'freeze is fc_1.bias, fc_1.weight here, and nothing in that training',
    )
  },
)

test('what cannot be chosen by, or kept back, is refused before any work', async () => {
  const refused = async (...argv: string[]): Promise<string> => {
    const said = await train('never', argv)
    expect(said.code).toBeGreaterThan(0)
    return said.err + said.out
  }
  expect(await refused('--best', 'rihgt')).toContain(
    '--best rihgt: the net has no loss and no metric rihgt; did you mean right? (it has loss, right, size)',
  )
  expect(await refused('--best', 'size')).toContain('whether size should be higher or lower is not known: write size:higher or size:lower')
  expect(await refused('--best', 'right:lower')).toContain('--best right:lower: higher is better of right: write right')
  expect(await refused('--best', 'loss:higher')).toContain('--best loss:higher: lower is better of loss: write loss')
  expect(await refused('--validation', '0')).toContain('A share of the samples is wanted, 0.1 or 10%, or a number of them from 2 on')
  expect(await refused('--validation', '72')).toContain('72 of 72 samples cannot be kept back: none would be left')
  expect(await refused('--partial')).toContain('--partial takes what fits of --weights: name the weights')
})

test('holdOut keeps back a share of each class, the same by the same seed', async () => {
  const dataset = arrays({
    label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from(ROWS) },
    x: { shape: [], type: 'f32', data: Float32Array.from(ROWS, (_, i) => i) },
  })
  const read = async (part: typeof dataset, field: 'x' | 'label'): Promise<number[]> => {
    const into = field === 'x' ? new Float32Array(part.length) : new Int32Array(part.length)
    await part.read([...into.keys()], { [field]: into })
    return [...into]
  }
  const { held, rest } = await holdOut(dataset, 0.2, 7)
  const count = (labels: readonly number[]): number[] => [0, 1, 2].map((k) => labels.filter((label) => label === k).length)
  expect(count(await read(held, 'label'))).toEqual([3, 6, 9])
  expect([...await read(held, 'x'), ...await read(rest, 'x')].sort((a, b) => a - b)).toEqual(ROWS.map((_, i) => i))
  expect(await read((await holdOut(dataset, 18, 7)).held, 'x')).toEqual(await read(held, 'x'))
  expect(await read((await holdOut(dataset, 18, 8)).held, 'x')).not.toEqual(await read(held, 'x'))
  // The only sample of a class is there to learn from, unless more are asked for than others have to spare.
  const rare = arrays({ label: { shape: [], type: 'i32', classes: 3, data: Int32Array.of(0, 0, 0, 0, 1, 1, 1, 2) } })
  expect(count(await read((await holdOut(rare, 4)).held, 'label'))).toEqual([2, 2, 0])
  expect(count(await read((await holdOut(rare, 5)).rest, 'label'))).toEqual([1, 1, 1])
  expect((await holdOut(rare, 7)).rest.length).toBe(1)
  await expect(holdOut(dataset, 1)).rejects.toThrow('holdOut takes a share between 0 and 1, or a number of samples from 2 on, not 1')
})
