import { onceForAll } from '../compile-cache.ts'
import { canonicalText } from '../ir/fingerprint.ts'
import type { Equation } from '../ir/equation.ts'
import { accessesOf } from '../codegen/bindings.ts'
import type { PrintedKernel } from '../codegen/printed-kernel.ts'
import { onceByNode, onceByNodes } from '../ir/once-by-node.ts'
import { sameTexts } from '../ir/same-texts.ts'
import { bufferOf } from '../ir/tensor.ts'
import { filled, namesFor, numbered, variablesOf, withPlaces } from './kernel-template.ts'

/** A kernel for all equations of one shape: its texts are templates, its bindings say the numbers of tensors in the canonical text. */
interface PlainKernel extends Omit<PrintedKernel, 'bindings'> {
  readonly bindings: readonly (Omit<PrintedKernel['bindings'][number], 'tensor' | 'name'> & { readonly tensor: number })[]
  readonly nameless: string
  /** What `variablesOf` says of it. */
  readonly variables: string
}

interface PrintOptions {
  /** Names of the target's language that nothing may be called. */
  readonly reservedWords: readonly string[]
  /** Names the printer among those of other compilations, which then share what is the same but for names; absent: they share nothing. */
  readonly known?: string | undefined
}

/** A printer that remembers: equations of one shape, in all programs of a net, have the same kernel but for names, which are put in at last. */
export function printOnce(
  print: (e: Equation) => PrintedKernel,
  { reservedWords, known }: PrintOptions,
): (e: Equation) => PrintedKernel {
  const kernels = new Map<string, PlainKernel>()
  const reserved = ` ${reservedWords.join(' ')} `
  return (equation) => {
    const key = kernelText(equation)
    let kernel = kernels.get(key)
    if (!kernel) {
      const plain = (): PlainKernel => printPlain(print, equation)
      kernel = known === undefined ? plain() : onceForAll('kernel/gpu', `${known} ${key}`, plain, bytesOf)
      kernels.set(key, kernel)
    }
    return named(reserved, kernel, equation)
  }
}

/** All that a kernel depends on but names: what an equation computes, and which of its tensors it writes, or lie beside one that it writes. */
export const kernelText = onceByNode((e: Equation): string =>
  oneText(`${accessesOf(e, bufferOf).map((b) => b.access).join()}\n${canonicalText(e, false).text}`)
)
const oneText = sameTexts()

function printPlain(print: (e: Equation) => PrintedKernel, e: Equation): PlainKernel {
  const { equation, tensors } = withPlaces(e)
  const kernel = print(equation)
  const numbers = new Map(kernel.bindings.map((b, i) => [tensors.indexOf(b.tensor), i]))
  return {
    ...kernel,
    nameless: numbered(kernel.text, numbers),
    variables: `${variablesOf(kernel.text)}${kernel.subgroups === undefined ? '' : variablesOf(kernel.subgroups)}`,
    bindings: kernel.bindings.map(({ tensor, access }) => ({ access, tensor: tensors.indexOf(tensor) })),
  }
}

/** The kernel under the names of an equation; its texts are made when somebody asks for them. */
const named = onceByNodes((reservedWords, kernel: PlainKernel, equation: Equation): PrintedKernel => {
  const { tensors } = canonicalText(equation, false)
  const { text, subgroups, nameless, workgroup, invocations, bindings } = kernel
  const words = namesFor(tensors, reservedWords)
  const fill = (template: string): string => filled(template, kernel.variables, reservedWords, { kernel: equation.name, tensors, words })
  return {
    bindings: bindings.map((b) => ({ name: words[b.tensor]!, tensor: tensors[b.tensor]!, access: b.access })),
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
})

const bytesOf = ({ text, nameless, variables, subgroups = '' }: PlainKernel): number =>
  text.length + nameless.length + variables.length + subgroups.length + 512
