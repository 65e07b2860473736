import { describe, expect, test } from 'vitest'
import { bytesSource } from '../../../import/byte-source.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import { holds, outputOf } from './holds.ts'
import { floats, ints, modelBytes, node, scalar } from './write-onnx.ts'

/** Running sums along an axis, of [2, 3, 4, 4]. */
function running(x: readonly number[], step: number, size: number, exclusive: boolean, reverse: boolean): number[] {
  return x.map((_, i) => {
    const place = Math.floor(i / step) % size
    let sum = 0
    for (let k = 0; k < size; k++) {
      const counts = k === place ? !exclusive : reverse ? k > place : k < place
      if (counts) sum += x[i + (k - place) * step]!
    }
    return sum
  })
}

describe('CumSum', () => {
  test.each([[1, 16, 3], [2, 4, 4], [-1, 1, 4]])('axis %i', async (axis, step, size) => {
    for (const exclusive of [0, 1])
      for (const reverse of [0, 1]) {
        await holds({
          nodes: [node('CumSum', ['x', 'axis'], ['y'], { exclusive, reverse })],
          more: { initializers: { axis: { ...scalar(axis), type: 'int64' } } },
          want: (x) => running(x, step, size, exclusive === 1, reverse === 1),
        })
      }
  })

  test('of constants', async () => {
    await holds({
      nodes: [node('CumSum', ['c', 'axis'], ['s'], { reverse: 1, exclusive: 1 }), node('Add', ['x', 's'], ['y'])],
      more: { initializers: { c: floats([2, 2], [1, 2, 3, 4]), axis: ints(0) } },
      x: [3, 2, 2],
      want: (x) => x.map((v, i) => v + [3, 4, 0, 0][i % 4]!),
    })
  })
})

describe('TopK of one', () => {
  const rows = (x: readonly number[]): number[][] => Array.from({ length: 24 }, (_, i) => x.slice(i * 4, i * 4 + 4))
  const more = { initializers: { k: ints(1) } }
  test.each([[1, Math.max], [0, Math.min]])('largest: %i', async (largest, best) => {
    await holds({ nodes: [node('TopK', ['x', 'k'], ['y', ''], { largest })], more, want: (x) => rows(x).map((row) => best(...row)) })
    await holds({
      nodes: [node('TopK', ['x', 'k'], ['v', 'i'], { largest, axis: 3 }), node('Cast', ['i'], ['y'], { to: 1 })],
      more,
      want: (x) => rows(x).map((row) => row.indexOf(best(...row))),
    })
    await holds({
      nodes: [
        node('TopK', ['x', 'k'], ['v', 'i'], { largest }),
        node('Cast', ['i'], ['f'], { to: 1 }),
        node('Add', ['v', 'f'], ['y']),
      ],
      more,
      want: (x) => rows(x).map((row) => best(...row) + row.indexOf(best(...row))),
    })
  })

  test('of more is refused', async () => {
    await expect(outputOf({ nodes: [node('TopK', ['x', 'k'], ['y', ''])], more: { initializers: { k: ints(2) } }, want: [] }))
      .rejects.toThrow(/first 2 in order/)
  })
})

describe('Trilu', () => {
  test.each([[1, 0], [0, 0], [1, -2], [0, 1], [1, 3]])('upper %i, diagonal %i', async (upper, k) => {
    const kept = (i: number): boolean => {
      const away = i % 4 - Math.floor(i / 4) % 4
      return upper ? away >= k : away <= k
    }
    const more = { initializers: { k: { ...scalar(k), type: 'int64' as const } } }
    await holds({ nodes: [node('Trilu', ['x', 'k'], ['y'], { upper })], more, want: (x) => x.map((v, i) => (kept(i) ? v : 0)) })
    const c = floats([4, 4], Array.from({ length: 16 }, (_, i) => i + 1))
    await holds({
      nodes: [node('Trilu', ['c', 'k'], ['t'], { upper }), node('Add', ['x', 't'], ['y'])],
      more: { initializers: { ...more.initializers, c } },
      want: (x) => x.map((v, i) => v + (kept(i % 16) ? i % 16 + 1 : 0)),
    })
  })
})

describe('ScatterND of constants', () => {
  test('numbers and rows are replaced', async () => {
    await holds({
      nodes: [
        node('ScatterND', ['c', 'one', 'number'], ['d']),
        node('ScatterND', ['d', 'row', 'numbers'], ['e']),
        node('Add', ['x', 'e'], ['y']),
      ],
      more: {
        initializers: {
          c: floats([3, 2], [1, 2, 3, 4, 5, 6]),
          one: { shape: [1, 2], data: [0, -1], type: 'int64' },
          number: floats([1], [70]),
          row: { shape: [1, 1], data: [2], type: 'int64' },
          numbers: floats([1, 2], [80, 90]),
        },
      },
      x: [2, 3, 2],
      want: (x) => x.map((v, i) => v + [1, 70, 3, 4, 80, 90][i % 6]!),
    })
  })
})

describe('Einsum with an ellipsis', () => {
  const w = floats([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])
  const product = (x: readonly number[]): number[] =>
    Array.from(
      { length: x.length / 4 * 2 },
      (_, i) => [0, 1, 2, 3].reduce((sum, k) => sum + x[Math.floor(i / 2) * 4 + k]! * w.data[k * 2 + i % 2]!, 0),
    )
  test.each(['...c,cd->...d', 'b...c,cd->b...d', 'bi...c, cd -> bi...d'])('%s', async (equation) => {
    await holds({ nodes: [node('Einsum', ['x', 'w'], ['y'], { equation })], more: { initializers: { w } }, want: product })
  })

  test('axes that it stands for meet from the last on; without a result they are in front', async () => {
    const c = floats([4, 4], Array.from({ length: 16 }, (_, i) => i + 1))
    await holds({
      nodes: [node('Einsum', ['x', 'c'], ['y'], { equation: 'bc...,...->bc...' })],
      more: { initializers: { c } },
      want: (x) => x.map((v, i) => v * (i % 16 + 1)),
    })
    await holds({ nodes: [node('Einsum', ['x', 'w'], ['y'], { equation: '...c,cd' })], more: { initializers: { w } }, want: product })
  })
})

test('a batch that has a name behind the first axis is told', () => {
  const bytes = modelBytes({ inputs: { x: [5, 'N', 8] }, outputs: ['y'], nodes: [node('Relu', ['x'], ['y'])] })
  expect(() => readOnnx(bytesSource('m.onnx', bytes))).toThrow(/--shape x=5x1x8; if 5 is the batch/)
  const { inputs } = readOnnx(bytesSource('m.onnx', bytes), { shapes: new Map([['x', [5, 1, 8]]]) })
  expect(inputs[0]!.shape).toEqual([5, 1, 8])
})

test('windows whose batch of one was let go meet those that have it', async () => {
  // As Swin has it: [1, 4, 2, 3] in windows [4n, 2, 3]; a mask a window is added to scores [1, 4, 2, 2], which are then [4, 2, 2].
  const mask = floats([1, 4, 2, 2], Array.from({ length: 16 }, (_, i) => i % 5))
  await holds({
    nodes: [
      node('Reshape', ['x', 'windows'], ['w']),
      node('Transpose', ['w'], ['t'], { perm: [0, 2, 1] }),
      node('MatMul', ['w', 't'], ['s']),
      node('Reshape', ['s', 'apart'], ['a']),
      node('Add', ['a', 'mask'], ['m']),
      node('Reshape', ['m', 'back'], ['p']),
      node('MatMul', ['p', 'w'], ['v']),
      node('Reshape', ['v', 'whole'], ['y']),
    ],
    more: {
      initializers: { mask, windows: ints(4, 2, 3), apart: ints(1, 4, 2, 2), back: ints(4, 2, 2), whole: ints(1, 8, 3) },
    },
    x: [1, 8, 3],
    sizes: [1, 8, 3],
    want: (x) =>
      Array.from({ length: 24 }, (_, i) => {
        const [window, row, column] = [Math.floor(i / 6), Math.floor(i / 3) % 2, i % 3]
        const at = (r: number, c: number): number => x[window * 6 + r * 3 + c]!
        const score = (r: number): number =>
          [0, 1, 2].reduce((sum, k) => sum + at(row, k) * at(r, k), 0) + mask.data[window * 4 + row * 2 + r]!
        return score(0) * at(0, column) + score(1) * at(1, column)
      }),
  })
})
