import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Program } from '../../dsl/program.ts'
import type { Span } from '../../dsl/source.ts'
import { elementCount, showShape } from '../../bundle/sizes.ts'
import { MOST_ELEMENTS, MOST_NAME } from '../../bundle/validate/limits.ts'
import { isName } from '../../bundle/validate/names.ts'
import type { Graph, Value } from '../graph/graph.ts'

/** The number of mistakes of a kind that are told, at most: behind a tensor that is too large usually all are too large. */
const MOST_TOLD = 3

/**
 * Mistakes for which the runtime would refuse a bundle, told where they are written: sizes that no device holds (`shape/too-large`) and names that
 * mean something else in files or are too long (`name/not-usable`). The limits are the runtime's own.
 */
export function boundProblems(program: Program, graph: Graph): Diagnostic[] {
  return [...nameProblems(program, graph), ...sizeProblems(graph)]
}

function nameProblems(program: Program, graph: Graph): Diagnostic[] {
  const named: (readonly [what: string, name: string, span: Span])[] = [
    ['net', program.name, program.span],
    ...program.inputs.map(({ name, span }) => ['input', name, span] as const),
    ...[...program.outputs, ...program.losses, ...program.metrics].map(({ name, span }) => ['output', name, span] as const),
    ...program.layers.map(({ name, span }) => ['layer', name, span] as const),
    ...graph.parameters.map(({ name, value }) => ['parameter', name, value.madeAt] as const),
  ]
  return named.filter(([, name]) => !isName(name)).slice(0, MOST_TOLD).map(([what, name, span]) => {
    const long = name.length > MOST_NAME
    return {
      severity: 'error',
      code: 'name/not-usable',
      message: long ? `the name of this ${what} has ${name.length} letters, with those of the blocks around it; ${MOST_NAME} are the most`
        : `${what} ${name} has a name that means something else in files`,
      labels: [{ span, text: long ? `${name.slice(0, 40)}...` : 'named here' }],
      hint: long ? 'give shorter names to it, or to the blocks around it'
        : `call it otherwise, e.g. ${name.replaceAll(/^_+|_+$/g, '') || 'x'}_1`,
    }
  })
}

function sizeProblems({ inputs, parameters, nodes }: Graph): Diagnostic[] {
  const values: (readonly [what: string, value: Value])[] = [
    ...inputs.map((value) => [`input ${value.name}`, value] as const),
    ...parameters.map(({ name, value }) => [`parameter ${name}`, value] as const),
    ...nodes.flatMap((node) => node.outputs.map((value) => [`the output of ${node.layer}`, value] as const)),
  ]
  const large = values.filter(([, { shape }]) => !(elementCount(shape) <= MOST_ELEMENTS))
  // One of a place: what a layer gives is as large as what it learns.
  const told = large.filter(([, { madeAt }], i) => large.findIndex(([, other]) => other.madeAt === madeAt) === i).slice(0, MOST_TOLD)
  const problems = told.map(([what, { shape, madeAt }]) =>
    tooLarge(`${what} is ${showShape(shape)}, ${show(elementCount(shape))} numbers${shape[0] === 'n' ? ' for one sample' : ''}`, madeAt)
  )
  const all = parameters.reduce((sum, { value }) => sum + elementCount(value.shape), 0)
  if (problems.length > 0 || all <= MOST_ELEMENTS) return problems
  const largest = parameters.reduce((most, p) => (elementCount(p.value.shape) > elementCount(most.value.shape) ? p : most))
  return [
    tooLarge(`the parameters of this net are ${show(all)} numbers, of which ${largest.name} is the largest part`, largest.value.madeAt),
  ]
}

const tooLarge = (message: string, span: Span): Diagnostic => ({
  severity: 'error',
  code: 'shape/too-large',
  message,
  labels: [{ span, text: 'made here' }],
  hint: `no device holds more than ${show(MOST_ELEMENTS)} (4 GiB) in one piece`,
})

const show = (count: number): string => (Number.isSafeInteger(count) ? count.toLocaleString('en') : count.toExponential(1))
