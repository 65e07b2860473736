import { bindingsOf } from '../../codegen/bindings.ts'
import type { Equation } from '../../ir/equation.ts'
import { bufferOf } from '../../ir/tensor.ts'
import type { PrintedKernel } from '../../codegen/printed-kernel.ts'
import type { Target } from '../target.ts'

/** Runs equations themselves, in float64; statistics are gathered picture by picture. */
export const interpreterTarget: Target = {
  name: 'interpreter',
  extension: 'txt',
  maxBindings: 8,
  sharesBuffers: true,
  maxPrologueInputs: 2,
  statisticsBlock: () => (a) => (typeof a.extent === 'number' ? a.extent : 1),
  printer: () => ({ print }),
}

let printed = 0

function print(equation: Equation): PrintedKernel {
  return {
    bindings: bindingsOf(equation, bufferOf, (name) => name),
    invocations: { fixed: 1, perSample: 0 },
    workgroup: 1,
    // Kernels with the same text are shared; every equation is its own here.
    text: `${equation.name} ${printed++}`,
  }
}
