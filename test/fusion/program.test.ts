import { expect, test } from 'vitest'
import { KernelProgram } from '../../compiler/fusion/program.ts'
import { axis } from '../../compiler/ir/affine.ts'
import { equation, type Equation, store } from '../../compiler/ir/equation.ts'
import { add, load } from '../../compiler/ir/expression.ts'
import { tensor, type Tensor } from '../../compiler/ir/tensor.ts'

const [x, y, z] = ['x', 'y', 'z'].map((name) => tensor(name, [4])) as [Tensor, Tensor, Tensor]

/** An equation of this name that adds up what it reads. */
function adds(name: string, to: Tensor, ...from: readonly Tensor[]): Equation {
  const i = axis('i', 4)
  return equation(name, [name], [i], [store(to, [i], add(...from.map((t) => load(t, i))))])
}
const names = (nodes: readonly { readonly equation: Equation }[]): string => nodes.map((node) => node.equation.name).join()

test('readers and writers come in the order of the program, whatever was changed last', () => {
  const program = new KernelProgram([adds('a', y, x), adds('b', z, x), adds('c', z, y, x)])
  expect(names(program.readers(x))).toBe('a,b,c')
  const [a, b] = program.readers(x)
  program.set(a!, adds('a2', y, x))
  expect(names(program.readers(x))).toBe('a2,b,c')
  program.set(b!, adds('b2', z, y))
  expect(names(program.readers(x))).toBe('a2,c')
  expect(names(program.readers(y))).toBe('b2,c')
  expect(names(program.writers(z))).toBe('b2,c')
})

test('what takes the place of a kernel stands where it stood; what was asked for before stays as it was', () => {
  const program = new KernelProgram([adds('a', y, x), adds('b', z, y)])
  const before = program.readers(x)
  program.replace(before[0]!, [adds('a1', y, x), adds('a2', y, x)].map((each) => ({ equation: each, why: [] })))
  expect(names(program.kernels())).toBe('a1,a2,b')
  expect(names(program.readers(x))).toBe('a1,a2')
  expect(names(before)).toBe('a')
  expect(program.has(before[0]!)).toBe(false)
})
