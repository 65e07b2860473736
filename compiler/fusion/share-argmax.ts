import { substitute } from '../ir/affine.ts'
import type { Equation, Store } from '../ir/equation.ts'
import { hasReduction } from '../ir/analysis.ts'
import { type Reduction, walk } from '../ir/expression.ts'
import { canonicalText } from '../ir/fingerprint.ts'
import { onceByNode, onceByNodes } from '../ir/once-by-node.ts'
import { tensor } from '../ir/tensor.ts'
import type { KernelPass } from './kernel-pass.ts'
import { bindingCount, type KernelNode } from './program.ts'
import { reductionOf } from '../ir/expression-node.ts'

/** Where one equation takes the maximum of each window and another its position (the gradient of pooling), one kernel finds both. */
export const shareArgmax: KernelPass = {
  name: 'share-argmax',
  run(program, { maxBindings }) {
    const seekers = [...program.all()].filter(({ equation }) => positionOf(equation))
    // Most programs look for no position at all.
    if (seekers.length === 0) return
    const finders = new Map<string, KernelNode[]>()
    for (const node of program.all()) {
      for (const text of new Set(maximaOf(node.equation).map((m) => reductionText(node.equation, m))))
        finders.set(text, [...(finders.get(text) ?? []), node])
    }
    for (const node of seekers) {
      const wanted = positionOf(node.equation)
      if (!wanted || !program.has(node)) continue
      const text = reductionText(node.equation, wanted.value)
      const partner = finders.get(text)?.find((other) => other !== node && program.has(other))
      if (!partner || partner.order > node.order) continue
      const maximum = maximaOf(partner.equation).find((m) => reductionText(partner.equation, m) === text)!
      const joined = joinedOf('', partner.equation, node.equation, maximum)
      if (bindingCount(joined) > maxBindings) {
        program.remark(node, `${partner.equation.name} would bind too many buffers if it kept the positions of its maxima`)
        continue
      }
      program.set(partner, joined)
      program.remark(partner, `keeps the positions of its maxima for ${node.equation.layers.join(', ')}'s gradient`)
      program.remove(node)
    }
  },
}

/** The one store of an equation that looks for the position of a maximum and does nothing else. */
function positionOf({ stores: [wanted, ...others] }: Equation): (Store & { readonly value: Reduction }) | undefined {
  if (!wanted || others.length > 0 || wanted.value.kind !== 'reduce' || wanted.value.combine !== 'argmax') return undefined
  return { ...wanted, value: wanted.value }
}

/** The equation that finds a maximum, with the position that another looks for. */
const joinedOf = onceByNodes((_, finder: Equation, seeker: Equation, maximum: Reduction): Equation => {
  const { tensor, at } = positionOf(seeker)!
  const axes = new Map(seeker.axes.map((a, i) => [a, finder.axes[i]!]))
  const stored = { tensor, at: at.map((index) => substitute(index, axes)), value: { ...maximum, combine: 'argmax' as const } }
  return { ...finder, stores: [...finder.stores, stored] }
})

const maximaOf = onceByNode((e: Equation): readonly Reduction[] =>
  e.stores.filter((s) => hasReduction(s.value)).flatMap((s) => walk(s.value)).filter((node): node is Reduction =>
    node.kind === 'reduce' && node.combine === 'max'
  )
)

/** What a maximum or its position is taken of, as a text that does not depend on names. */
const reducedText = onceByNodes((_, e: Equation, of: Reduction): string =>
  canonicalText({ ...e, name: '', sides: [], stores: [{ tensor: NOWHERE, at: [], value: reductionOf('max', of.axes, of.body) }] }).text
)
const reductionText = (e: Equation, of: Reduction): string => reducedText('', e, of)

const NOWHERE = tensor('', [])
