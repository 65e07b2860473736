import { describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { arrays, open, wasm } from '../../runtime/index.ts'
import { ConfusionCounter } from '../../runtime/per-class.ts'

/** The scores of a net that gives what it is given: counts are done by hand. */
const text = (shape: string): string =>
  `net n {
  input x: f32[${shape}]
  input label: class[cat, dog, eel]${shape === '3' ? '' : '[2, 2]'}
  z = x -> bias
  output y = z
  loss = softmax_loss(z, label)
  metric hit = accuracy(z, label)
}`
const best = (k: number): number[] => [0, 1, 2].map((j) => (j === k ? 1 : 0))

describe('evaluate, perClass', () => {
  test('precision, recall and confusions by hand, the last samples included; the diagonal is what accuracy counts', async () => {
    // cat: right twice, once taken for eel; dog: taken for cat; eel is never a label; one label is ignored; one tie is wrong.
    const [labels, predicted] = [[0, 0, 0, 1, -1, 1], [0, 2, 0, 0, 1]]
    const x = Float32Array.from([...predicted.flatMap(best), 0, 1, 1])
    const data = arrays({
      x: { shape: [3], type: 'f32', data: x },
      label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from(labels) },
    })
    const net = await open(compile(text('3'), { targets: ['wasm'] }), {
      device: await wasm({ threads: 1 }),
      batch: 4,
      programs: ['eval', 'infer'],
    })
    const { perClass, metrics, count } = await net.evaluate(data, { perClass: true })
    expect(count).toBe(6)
    expect(perClass).toEqual([{
      label: 'label',
      output: 'y',
      ignored: 1,
      unscored: 0,
      confusion: [[2, 0, 1], [1, 0, 1], [0, 0, 0]],
      classes: [
        { label: 0, name: 'cat', support: 3, predicted: 3, precision: 2 / 3, recall: 2 / 3, f1: 2 / 3 },
        { label: 1, name: 'dog', support: 2, predicted: 0, precision: 0, recall: 0, f1: 0 },
        { label: 2, name: 'eel', support: 0, predicted: 2, precision: 0, recall: 0, f1: 0 },
      ],
    }])
    expect(metrics['hit']).toBeCloseTo(2 / 5, 12)
    expect((await net.evaluate(data)).perClass).toBeUndefined()
    expect((await net.evaluate(data, { perClass: true })).perClass).toEqual(perClass)
    net.close()
  })
  test('label maps count every pixel', () => {
    const [counter] = ConfusionCounter.of(compile(text('3, 2, 2'), { targets: ['wasm'], programs: ['infer'] }).manifest) as [
      ConfusionCounter,
    ]
    // Pixels of class 0, 1, 2 and 1; the last one is taken for class 0, and the third is no number.
    const planes = [[1, 0, 0, 1], [0, 1, NaN, 0], [0, 0, 1, 0]]
    counter.add(Float32Array.from(planes.flat()), Int32Array.of(0, 1, 2, 1), 1)
    expect(counter.result(undefined)).toMatchObject({
      confusion: [[1, 0, 0], [1, 1, 0], [0, 0, 0]],
      unscored: 1,
      classes: [{ support: 1 }, { support: 2 }, { support: 1, recall: 0 }],
    })
  })
  test('a net without scores, and one whose infer was not loaded, say so', async () => {
    const none = compile('net n { input x: f32[2] input t: f32[1] z = x -> fc(1) output y = z loss = squared_loss(z, t) }', {
      targets: ['wasm'],
    })
    expect(() => ConfusionCounter.of(none.manifest)).toThrow('the net has no output that scores the classes of a label')
    const net = await open(compile(text('3'), { targets: ['wasm'] }), { device: interpreter(), batch: 1, programs: ['eval'] })
    const data = arrays({
      x: { shape: [3], type: 'f32', data: new Float32Array(3) },
      label: { shape: [], type: 'i32', classes: 3, data: Int32Array.of(0) },
    })
    await expect(net.evaluate(data, { perClass: true })).rejects.toThrow('program infer')
    net.close()
  })
})
