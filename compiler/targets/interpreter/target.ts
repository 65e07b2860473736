import { bufferOf, type Tensor } from '../../ir/tensor.ts'
import type { Equation } from '../../ir/equation.ts'
import { reads, writes } from '../../ir/equation.ts'
import type { PrintedKernel } from '../../codegen/printed-kernel.ts'
import type { Target } from '../target.ts'

/** Runs equations themselves, in float64; statistics are gathered picture by picture. */
export const interpreterTarget: Target = {
  name: 'interpreter',
  maxBindings: 8,
  sharesBuffers: true,
  prologueLoads: 2,
  blocksOf: () => (a) => (typeof a.extent === 'number' ? a.extent : 1),
  printer: () => ({ print }),
}

let printed = 0

function print(equation: Equation): PrintedKernel {
  const written = new Set(writes(equation))
  const tensors = [...new Set([...reads(equation), ...written])]
  const writtenBuffers = new Set([...written].map(bufferOf))
  const isWritten = (t: Tensor): boolean => written.has(t) || (bufferOf(t) !== undefined && writtenBuffers.has(bufferOf(t)))
  return {
    bindings: tensors.map((tensor) => ({ name: tensor.name, tensor, access: isWritten(tensor) ? 'read_write' : 'read' })),
    invocations: { fixed: 1, perSample: 0 },
    workgroup: 1,
    // Kernels with the same text are shared; every equation is its own here.
    text: `${equation.name} ${printed++}`,
  }
}
