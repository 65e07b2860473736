import { onceForAll } from './compile-cache.ts'
import { canonicalText } from '../ir/fingerprint.ts'
import type { Equation } from '../ir/equation.ts'
import { bindingsOf, type BufferOf } from '../codegen/bindings.ts'
import { type PrintedKernel, withoutRemarks } from '../codegen/printed-kernel.ts'
import type { Tensor } from '../ir/tensor.ts'
import { filled, namesFor, numbered, withPlaces, wordsOf } from './kernel-template.ts'

/** A kernel for all equations of one shape: its texts are templates, its bindings say the numbers of tensors in the canonical text. */
interface PlainKernel extends Omit<PrintedKernel, 'bindings'> {
  readonly bindings: readonly (Omit<PrintedKernel['bindings'][number], 'tensor' | 'name'> & { readonly tensor: number })[]
  readonly nameless: string
  readonly words: string
}

interface PrintOptions {
  readonly bufferOf: BufferOf
  /** Names of the target's language that nothing may be called. */
  readonly reservedWords: readonly string[]
  /** Names the printer among those of other compilations, which then share what is the same but for names; absent: they share nothing. */
  readonly known?: string | undefined
}

/** A printer that remembers: equations of one shape, in all programs of a net, have the same kernel but for names, which are put in at last. */
export function printOnce(
  print: (e: Equation) => PrintedKernel,
  { bufferOf, reservedWords, known }: PrintOptions,
): (e: Equation) => PrintedKernel {
  const kernels = new Map<string, PlainKernel>()
  const reserved = new Set(reservedWords)
  return (equation) => {
    const { text, tensors } = canonicalText(equation, false)
    // What a kernel writes to decides what it may bind as read.
    const access = bindingsOf(equation, bufferOf, (name) => name).map((b) => b.access).join()
    const key = `${access}\n${text}`
    let kernel = kernels.get(key)
    if (!kernel) {
      const plain = (): PlainKernel => printPlain(print, equation)
      kernel = known === undefined ? plain() : onceForAll('kernel/gpu', `${known} ${key}`, plain, bytesOf)
      kernels.set(key, kernel)
    }
    return named(kernel, equation.name, tensors, reserved)
  }
}

function printPlain(print: (e: Equation) => PrintedKernel, e: Equation): PlainKernel {
  const { equation, tensors } = withPlaces(e)
  const kernel = print(equation)
  const numbers = new Map(kernel.bindings.map((b, i) => [tensors.indexOf(b.tensor), i]))
  return {
    ...kernel,
    nameless: numbered(withoutRemarks(kernel.text), numbers),
    words: wordsOf(`${kernel.text}\n${kernel.subgroups ?? ''}`),
    bindings: kernel.bindings.map(({ tensor, access }) => ({ access, tensor: tensors.indexOf(tensor) })),
  }
}

/** The kernel under the names of an equation; its texts are made when somebody asks for them. */
function named(kernel: PlainKernel, name: string, tensors: readonly Tensor[], reserved: ReadonlySet<string>): PrintedKernel {
  const { text, subgroups, nameless, workgroup, invocations, bindings } = kernel
  const names = namesFor(tensors, kernel.words, reserved)
  const fill = (template: string): string => filled(template, name, tensors, names)
  return {
    bindings: bindings.map((b) => ({ name: names[b.tensor]!, tensor: tensors[b.tensor]!, access: b.access })),
    workgroup,
    invocations,
    nameless,
    get text(): string {
      return fill(text)
    },
    get subgroups(): string | undefined {
      return subgroups === undefined ? undefined : fill(subgroups)
    },
  }
}

const bytesOf = ({ text, nameless, words, subgroups = '' }: PlainKernel): number =>
  text.length + nameless.length + words.length + subgroups.length + 512
