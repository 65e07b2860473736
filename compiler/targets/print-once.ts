import { canonicalText } from '../loops/canonical.ts'
import type { Equation } from '../loops/kernel.ts'
import type { Tensor } from '../tensor.ts'
import type { PrintedKernel } from '../plan/build-plan.ts'

/** A printer that remembers: the programs of a net share most of their kernels. */
export function printOnce(print: (e: Equation) => PrintedKernel): (e: Equation) => PrintedKernel {
  const known = new Map<string, { kernel: PrintedKernel; tensors: readonly Tensor[] }>()
  return (equation) => {
    const { text, tensors } = canonicalText(equation)
    const before = known.get(text)
    if (!before) {
      const kernel = print(equation)
      known.set(text, { kernel, tensors })
      return kernel
    }
    const bindings = before.kernel.bindings.map((b) => ({ ...b, tensor: tensors[before.tensors.indexOf(b.tensor)]! }))
    return { ...before.kernel, bindings }
  }
}
