import { onceForAll } from './compile-cache.ts'
import { axisOrder, canonicalText } from '../ir/fingerprint.ts'
import type { Equation } from '../ir/equation.ts'
import { bindingsOf, type BufferOf } from '../codegen/bindings.ts'
import { type PrintedKernel, withoutNames } from '../codegen/printed-kernel.ts'
import type { Tensor } from '../ir/tensor.ts'

/** A kernel without the tensors of the net that it was printed for: its bindings say their numbers in the canonical text instead. */
interface PlainKernel extends Omit<PrintedKernel, 'bindings'> {
  readonly bindings: readonly (Omit<PrintedKernel['bindings'][number], 'tensor'> & { readonly tensor: number })[]
}

/**
 * A printer that remembers: layers of one shape have the same kernel but for names, and the programs of a net share most of theirs. A text
 * keeps the names of the layers that it was printed for first. `known`: names the printer among those of other compilations, which then
 * share what is the same to the name; absent: they share nothing.
 */
export function printOnce(print: (e: Equation) => PrintedKernel, bufferOf: BufferOf, known?: string): (e: Equation) => PrintedKernel {
  const kernels = new Map<string, PlainKernel>()
  return (equation) => {
    const canonical = canonicalText(equation, false)
    const { text, tensors } = canonical
    // What a kernel writes to decides what it may bind as read.
    const access = bindingsOf(equation, bufferOf, (name) => name).map((b) => b.access).join()
    const key = `${access}\n${text}`
    let kernel = kernels.get(key)
    if (!kernel) {
      const printPlain = (): PlainKernel => withoutTensors(print(equation), tensors)
      kernel = known === undefined ? printPlain()
        : onceForAll('kernel/gpu', `${known} ${access} ${axisOrder(canonical)}\n${canonicalText(equation).text}`, printPlain, bytesOf)
      kernels.set(key, kernel)
    }
    return { ...kernel, bindings: kernel.bindings.map((b) => ({ ...b, tensor: tensors[b.tensor]! })) }
  }
}

const withoutTensors = (kernel: PrintedKernel, tensors: readonly Tensor[]): PlainKernel => ({
  ...kernel,
  nameless: withoutNames(kernel.text, kernel.bindings),
  bindings: kernel.bindings.map((b) => ({ ...b, tensor: tensors.indexOf(b.tensor) })),
})

const bytesOf = ({ text, nameless = '', subgroups = '' }: PlainKernel): number => text.length + nameless.length + subgroups.length + 512
