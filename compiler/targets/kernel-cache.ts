import { canonicalText } from '../ir/fingerprint.ts'
import type { Equation } from '../ir/equation.ts'
import { bindingsOf, type BufferOf } from '../codegen/bindings.ts'
import type { PrintedKernel } from '../codegen/printed-kernel.ts'
import type { Tensor } from '../ir/tensor.ts'

/**
 * A printer that remembers: layers of one shape have the same kernel but for names, and the programs of a net share most of theirs. A text
 * keeps the names of the layers that it was printed for first.
 */
export function printOnce(print: (e: Equation) => PrintedKernel, bufferOf: BufferOf): (e: Equation) => PrintedKernel {
  const known = new Map<string, { kernel: PrintedKernel; tensors: readonly Tensor[] }>()
  return (equation) => {
    const { text, tensors } = canonicalText(equation, false)
    // What a kernel writes to decides what it may bind as read.
    const key = `${bindingsOf(equation, bufferOf, (name) => name).map((b) => b.access).join()}\n${text}`
    const before = known.get(key)
    if (!before) {
      const kernel = print(equation)
      known.set(key, { kernel, tensors })
      return kernel
    }
    const bindings = before.kernel.bindings.map((b) => ({ ...b, tensor: tensors[before.tensors.indexOf(b.tensor)]! }))
    return { ...before.kernel, bindings }
  }
}
