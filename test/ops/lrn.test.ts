import { describe, expect, test } from 'vitest'
import { ask, codes, expectClose, expectGradients, type Fed, fed, forward } from './run-operator.ts'

interface Settings {
  readonly size: number
  readonly alpha: number
  readonly beta: number
  readonly k: number
  readonly region: 'across' | 'within'
}

/** The formula, point by point; `space` is h * w. */
function normalized({ shape, data }: Fed, { size, alpha, beta, k, region }: Settings): number[] {
  const [, C, H, W] = shape as [number, number, number, number]
  const half = (size - 1) / 2
  return Array.from(data, (x, i) => {
    const [w, h, c, n] = [i % W, Math.floor(i / W) % H, Math.floor(i / (W * H)) % C, Math.floor(i / (W * H * C))]
    let squares = 0
    Array.from(data, (other, j) => {
      const [w2, h2, c2, n2] = [j % W, Math.floor(j / W) % H, Math.floor(j / (W * H)) % C, Math.floor(j / (W * H * C))]
      const near = region === 'across'
        ? n === n2 && h === h2 && w === w2 && Math.abs(c - c2) <= half
        : n === n2 && c === c2 && Math.abs(h - h2) <= half && Math.abs(w - w2) <= half
      if (near) squares += other * other
    })
    return region === 'across' ? x * (k + (alpha / size) * squares) ** -beta : x * (1 + (alpha / size ** 2) * squares) ** -beta
  })
}

const DEFAULTS: Settings = { size: 5, alpha: 1e-4, beta: 0.75, k: 1, region: 'across' }

describe('lrn', () => {
  test.each<[string, Partial<Settings>, readonly number[]]>([
    ['as it is by default', {}, [2, 7, 2, 3]],
    ['over three channels', { size: 3, alpha: 1 }, [2, 5, 2, 2]],
    ['over more channels than there are', { alpha: 0.5 }, [1, 2, 3, 3]],
    ['of one channel alone', { size: 1, alpha: 0.7, k: 2 }, [2, 3, 2, 2]],
    ['with a power that is no root', { size: 3, alpha: 1, beta: 0.6 }, [1, 4, 2, 2]],
    ['to other roots', { size: 3, alpha: 1, beta: 0.5, k: 1.5 }, [1, 4, 2, 2]],
    ['to a quarter', { size: 3, alpha: 1, beta: 0.25 }, [1, 4, 2, 2]],
    ['to one', { size: 3, alpha: 1, beta: 1 }, [1, 4, 2, 2]],
    ['to one and three quarters', { size: 3, alpha: 1, beta: 1.75 }, [1, 4, 2, 2]],
    ['to a negative power', { size: 3, alpha: 1, beta: -0.5 }, [1, 4, 2, 2]],
    ['within channels', { size: 3, alpha: 0.8, region: 'within' }, [2, 2, 4, 3]],
    ['within channels, where k is not used', { size: 3, alpha: 0.8, k: 5, region: 'within' }, [1, 1, 3, 3]],
  ])('%s', (_, given, shape) => {
    const settings = { ...DEFAULTS, ...given }
    const call = { op: 'lrn', inputs: [fed(shape, 6)], attributes: { ...given } }
    expect(ask(call)).toEqual({ shape: ['n', ...shape.slice(1)] })
    expectClose(forward(call), normalized(call.inputs[0]!, settings))
    expectGradients(call)
  })
  test('of features', () => {
    const [flat, map] = [fed([2, 6], 3), fed([2, 6, 1, 1], 3)]
    expectClose(forward({ op: 'lrn', inputs: [flat] }), forward({ op: 'lrn', inputs: [map] }))
  })
  test('refuses even windows, and windows within what is no map', () => {
    expect(codes({ op: 'lrn', inputs: [fed([2, 6, 2, 2])], attributes: { size: 4 } })).toEqual(['argument/lrn-size'])
    expect(codes({ op: 'lrn', inputs: [fed([2, 6])], attributes: { region: 'within' } })).toEqual(['shape/lrn-rank'])
    expect(codes({ op: 'lrn', inputs: [fed([6])] })).toEqual(['shape/lrn-rank'])
  })
})
