import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { arrays, type Dataset, Examples, examplesFromBytes, examplesToBytes, InputError, mix, open, openExamples,
  wasm } from '../../runtime/index.ts'

const FIELDS = { x: { shape: [2], type: 'f32' }, label: { shape: [], type: 'i32', classes: 3, classNames: ['cat', 'dog', 'eel'] } } as const
const pets = (): Examples => {
  const examples = new Examples(FIELDS)
  examples.add({ x: [1, 1], label: 'cat' })
  examples.add({ x: Float32Array.of(2, 2), label: 1 })
  examples.add({ x: [3, 3], label: 'cat' })
  return examples
}
/** All labels that a dataset gives, in training (an epoch) or not. */
async function labelsOf(data: Dataset, epoch?: number): Promise<number[]> {
  const label = new Int32Array(data.length)
  await data.read([...label.keys()], { label }, epoch === undefined ? undefined : { seed: 1, epoch })
  return [...label]
}

describe('examples', () => {
  test('are counted by class', () => {
    expect(pets().counts).toEqual([2, 1, 0])
    expect(pets().countOf('dog')).toBe(1)
    expect(pets().length).toBe(3)
    expect([...pets()].map(({ id, x, label }) => [id, [...(x as Float32Array)], label])).toEqual([[1, [1, 1], 0], [2, [2, 2], 1], [3, [
      3,
      3,
    ], 0]])
  })

  test('numbers that are none are not taken in: a training with them would lose all', () => {
    const examples = pets()
    for (const [value, text] of [[NaN, 'NaN'], [Infinity, 'Infinity'], [1e39, 'Infinity']] as const)
      expect(() => examples.add({ x: Float32Array.of(1, value), label: 'cat' })).toThrow(`x holds ${text} at 1: an example is trained with`)
    expect(() => examples.add({ x: [1, NaN], label: 'cat' })).toThrow('x holds NaN at 1')
    expect([examples.length, examples.counts]).toEqual([3, [2, 1, 0]])
  })

  test('every change can be undone', () => {
    const examples = pets()
    examples.remove(2)
    examples.removeClass('cat')
    expect(examples.counts).toEqual([0, 0, 0])
    examples.undo()
    expect(examples.counts).toEqual([2, 0, 0])
    examples.undo()
    expect(examples.counts).toEqual([2, 1, 0])
    examples.clear()
    examples.undo()
    for (let i = 0; i < 3; i++) expect(examples.undo()).toBe(true)
    expect([examples.length, examples.canUndo, examples.undo()]).toEqual([0, false, false])
    expect(examples.remove(7)).toBe(false)
    expect(examples.canUndo).toBe(false)
  })

  test('the oldest of a class makes room, and comes back by undo', () => {
    const examples = new Examples(FIELDS, { most: 2 })
    for (const v of [1, 2, 3]) examples.add({ x: [v, v], label: 'cat' })
    examples.add({ x: [9, 9], label: 'dog' })
    expect([...examples].map(({ id }) => id)).toEqual([2, 3, 4])
    examples.undo()
    examples.undo()
    expect([...examples].map(({ id }) => id)).toEqual([1, 2])
  })

  test('are copies; a dataset of them stays as it is', async () => {
    const x = Float32Array.of(5, 6)
    const examples = new Examples(FIELDS)
    examples.add({ x, label: 2 })
    x.fill(0)
    const data = examples.dataset()
    const mark = await data.mark!()
    examples.add({ x: [1, 1], label: 0 })
    examples.remove(1)
    const into = { x: new Float32Array(2), label: new Int32Array(1) }
    await data.read([0], into)
    expect([data.length, ...into.x, ...into.label]).toEqual([1, 5, 6, 2])
    expect(await data.mark!()).toBe(mark)
    expect(await examples.dataset().mark!()).not.toBe(mark)
  })

  test('come back from bytes', async () => {
    const again = examplesFromBytes(examplesToBytes(pets()))
    expect([...again]).toEqual([...pets()])
    expect(again.canUndo).toBe(false)
    expect(again.fields).toEqual(FIELDS)
    expect(examplesFromBytes(examplesToBytes(new Examples(FIELDS))).length).toBe(0)
    await expect(openExamples(new File(['{'], 'x.txt'))).rejects.toThrow(/x\.txt/)
    await expect(openExamples('digits')).rejects.toThrow(/indexeddb:\/\/name/)
  })

  test.each([
    ['another class', { x: [1, 1], label: 'dgo' }, /no class dgo; did you mean dog\? \(there are cat, dog, eel\)/],
    ['a label beyond', { x: [1, 1], label: 3 }, /no class 3: classes are 0 to 2 or cat, dog, eel/],
    ['a label as text', { x: [1, 1], label: '1' }, /no class 1/],
    ['too few numbers', { x: [1], label: 0 }, /input x .*takes 2 numbers/],
    ['a missing field', { x: [1, 1] }, /input label .*is missing/],
    ['another field', { x: [1, 1], label: 0, y: 1 }, /no input y/],
    ['nothing', undefined, /an example is wanted as an object, \{ x, label \}/],
  ])('%s is refused, and nothing is kept', (_, example, why) => {
    const examples = pets()
    expect(() => examples.add(example as never)).toThrow(InputError)
    expect(() => examples.add(example as never)).toThrow(why)
    expect(examples.length).toBe(3)
  })

  test('of a net: its inputs are the fields; it trains with stored statistics, and forgets less by rehearsal', async () => {
    const text = `net n { input x: f32[4] input label: class[2]
      logits = x -> fc(6) -> batch_norm -> relu -> fc(2) output prob = softmax(logits) loss = softmax_loss(logits, label) metric accuracy = accuracy(logits, label) }
      train { batch 8 solver sgd(lr: 0.1) }`
    const net = await open(compile(text, { targets: ['wasm'], programs: ['default', 'train/global'] }), {
      device: await wasm({ threads: 1 }),
      seed: 1,
    })
    const x = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i * 1.7))
    const known = arrays({
      x: { shape: [4], type: 'f32', data: x },
      label: { shape: [], type: 'i32', classes: 2, data: Int32Array.from({ length: 64 }, (_, i) => Number(x[4 * i]! > 0)) },
    })
    for await (const _ of net.train(known, { epochs: 20 }));
    const before = (await net.evaluate(known)).loss!
    const states = [...(await net.parameters())].filter(([name]) => /mean|var/.test(name))
    const learned = await net.parameters()
    const examples = new Examples(net)
    expect(Object.keys(examples.fields)).toEqual(['x', 'label'])
    examples.add({ x: [3, 3, 3, 3], label: 0 })
    const lossOfNew = async (): Promise<number> => (await net.evaluate(examples.dataset())).loss!
    const first = await lossOfNew()
    const train = async (data: Dataset): Promise<[number, number]> => {
      await net.reset()
      await net.setParameters(learned)
      for await (const _ of net.train(data, { steps: 20, stats: 'global' }));
      return [await lossOfNew(), (await net.evaluate(known)).loss!]
    }
    const [newAlone, oldAlone] = await train(mix([{ data: examples.dataset() }], { length: 8 }))
    const [newBeside, oldBeside] = await train(mix([{ data: examples.dataset(), share: 1 }, { data: known, share: 3 }]))
    expect(newAlone).toBeLessThan(first / 2)
    expect(newBeside).toBeLessThan(first / 2)
    expect(oldBeside - before).toBeLessThan((oldAlone - before) / 2)
    const after = await net.parameters()
    for (const [name, { data }] of states) expect(after.get(name)!.data, name).toEqual(data)
    net.close()
  })
})

describe('mix', () => {
  const of = (...labels: number[]): Dataset => arrays({ label: { shape: [], type: 'i32', classes: 10, data: Int32Array.from(labels) } })
  const count = (labels: number[]): Record<number, number> =>
    Object.fromEntries([...new Set(labels)].map((label) => [label, labels.filter((v) => v === label).length]))

  test('as many as there are, or by share and length', async () => {
    expect(count(await labelsOf(mix([{ data: of(1, 1) }, { data: of(2, 2, 2) }])))).toEqual({ 1: 2, 2: 3 })
    expect(count(await labelsOf(mix([{ data: of(1), share: 1 }, { data: of(2, 3, 2, 3), share: 3 }], { length: 40 })))).toEqual({
      1: 10,
      2: 15,
      3: 15,
    })
  })

  test('each sample of a part as often, give or take one; other ones each epoch where they are too many; the same again', async () => {
    const data = mix([{ data: of(0), share: 1 }, { data: of(1, 2, 3, 4, 5, 6), share: 1 }], { length: 8 })
    const [first, second] = [await labelsOf(data, 0), await labelsOf(data, 1)]
    for (const labels of [first, second]) {
      expect(labels.filter((v) => v === 0)).toHaveLength(4)
      expect(new Set(labels.filter((v) => v > 0)).size).toBe(4)
    }
    expect(first).not.toEqual(second)
    expect(await labelsOf(data, 0)).toEqual(first)
    const repeated = count(await labelsOf(mix([{ data: of(1, 2, 3) }], { length: 8 }), 0))
    expect(Object.values(repeated).sort()).toEqual([2, 3, 3])
  })

  test('balanced: each class as often', async () => {
    expect(count(await labelsOf(mix([{ data: of(1, 1, 1, 1, 1, 7), balanced: true }], { length: 20 }), 3))).toEqual({ 1: 10, 7: 10 })
  })

  const named = (...classNames: string[]): Dataset =>
    arrays({
      x: { shape: [2], type: 'f32', data: new Float32Array(2) },
      label: { shape: [], type: 'i32', classes: 3, classNames, data: Int32Array.of(0) },
    })
  test.each([
    ['nothing', [], /a list of parts/],
    ['a bare dataset', [of(1)], /part 1 of mix is wanted as \{ data, share \}/],
    ['no samples', [{ data: of() }], /no samples in any part/],
    ['a share of nothing', [{ data: of(1), share: 1 }, { data: of(), share: 1 }], /part 2 of mix is empty/],
    ['a share that is none', [{ data: of(1), share: 0 }], /share 0: a number above 0/],
    [
      'other fields',
      [{ data: of(1) }, { data: arrays({ x: { shape: [2], type: 'f32', data: new Float32Array(2) } }) }],
      /part 2 has no label/,
    ],
    [
      'classes in another order',
      [{ data: pets().dataset() }, { data: named('dog', 'cat', 'eel') }],
      /label 0 of label and so on is cat, dog, eel in one, dog, cat, eel in another/,
    ],
  ])('refuses %s', (_, parts, why) => {
    expect(() => mix(parts as never)).toThrow(why)
  })
})
