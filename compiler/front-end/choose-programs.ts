import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Program } from '../../dsl/program.ts'
import { suggest } from '../../bundle/nearest.ts'
import { type NormalizationEntry, type ProgramName, PROGRAMS, taskOf, TRAINING_PROGRAMS } from '../../bundle/format.ts'
import type { Graph } from '../graph/graph.ts'
import type { Operator } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'

type Operators = ReadonlyMap<string, Operator>

/** Stands in a list of programs for all that a bundle has unless told. */
export const DEFAULT_PROGRAMS = 'default'

/**
 * The programs to compile: those that are asked for and that the net has. A `/global` variant of training is there where it is
 * asked for alone; a net that normalizes with no batch's statistics trains by the plain program then, which is the same.
 */
export function choosePrograms(
  graph: Graph,
  operators: Operators,
  train: Program['train'],
  asked: readonly string[] = [DEFAULT_PROGRAMS],
): ProgramName[] {
  const usual = usualPrograms(graph, operators, train)
  const trainsApart = normalizationsOf(graph, operators).some(({ stats }) => stats !== 'global')
  const has = usual.includes('step')
    ? [...usual, ...TRAINING_PROGRAMS.filter((name) => isGlobal(name) && usual.includes(taskOf(name) as ProgramName))] : usual
  const wanted = new Set<string>()
  for (const name of asked) {
    if (name === DEFAULT_PROGRAMS) { for (const each of usual) wanted.add(each) }
    const own = isGlobal(name) && !trainsApart ? taskOf(name) : name
    wanted.add(own)
    // An update of several batches needs both.
    if (taskOf(own) === 'train') wanted.add(own.replace('train', 'accumulate'))
  }
  return has.filter((name) => wanted.has(name))
}

const isGlobal = (name: string): boolean => name.endsWith('/global')

/**
 * The programs that a net has, but for `prepare` and the `/global` variants of training: no training without a loss, no `/batch`
 * where nothing is normalized (there are no other statistics), no `accumulate` where an update takes one batch.
 */
function usualPrograms(graph: Graph, operators: Operators, train: Program['train']): ProgramName[] {
  const has = (role: string): boolean => graph.outputs.some((output) => output.role === role)
  const normalizes = normalizationsOf(graph, operators).length > 0
  const both = (program: 'infer' | 'eval'): ProgramName[] => [program, ...(normalizes ? [`${program}/batch` as const] : [])]
  const accumulates = train !== undefined && train.accumulate > 1
  return [
    ...(has('output') ? both('infer') : []),
    ...(has('loss') || has('metric') ? both('eval') : []),
    ...(has('loss') ? ['gradients', 'step', 'train'] as const : []),
    ...(has('loss') && accumulates ? ['accumulate'] as const : []),
  ]
}

/** Names of programs, targets and passes that there are none of, or nothing at all: as mistakes of no place. */
export function unknownNames(
  what: 'program' | 'target' | 'pass',
  asked: readonly string[] | undefined,
  known: readonly string[],
): Diagnostic[] {
  if (!asked) return []
  const mistake = (message: string, hint: string): Diagnostic => ({
    severity: 'error',
    code: `option/no-${what}`,
    message,
    labels: [],
    hint,
  })
  const all = `there are ${known.join(', ')}`
  // Without a target a bundle is a text, which the interpreter runs.
  if (asked.length === 0 && what === 'program') return [mistake('no program is named, so there is nothing to compile', all)]
  return asked.filter((name) => !known.includes(name)).map((name) => {
    const guess = suggest(name, known)
    return mistake(`there is no ${what} ${JSON.stringify(name)}`, guess === undefined ? all : `did you mean ${guess}? ${all}`)
  })
}

/** None of the programs that are asked for is one that the net has. */
export const noneOf = (asked: readonly string[], has: readonly string[]): Diagnostic => ({
  severity: 'error',
  code: 'option/no-program',
  message: `this net has no program ${asked.join(', ')}`,
  labels: [],
  hint: has.length === 0 ? 'it has no output and no loss'
    : `${asked.every((name) => taskOf(name) === 'infer') ? 'it gives nothing out (output NAME = VALUE); ' : ''}it has ${has.join(', ')}`,
})

/** Programs as they may be asked for. */
export const PROGRAM_NAMES: readonly string[] = [DEFAULT_PROGRAMS, ...PROGRAMS]

/** Why programs that are asked for cannot be: layers that keep nothing have no stored statistics to train with. */
export function programProblems(graph: Graph, operators: Operators, asked: readonly string[] = []): Diagnostic[] {
  const global = asked.filter((name) => isGlobal(name) && TRAINING_PROGRAMS.includes(name as ProgramName))
  if (global.length === 0) return []
  return graph.nodes.filter((node) => traitsOf(operators, node).statistics?.policy(node.attributes) === 'batch').map((node) => ({
    severity: 'error',
    code: 'program/no-statistics',
    message: `${node.name} keeps no statistics (stats: batch), so it cannot be trained with stored ones: ${global.join(', ')}`,
    labels: [{ span: node.span, text: 'here' }],
    hint: 'leave out stats: batch, so that statistics are kept, or train with those of each batch',
  }))
}

/** The manifest's entries of the layers that normalize with statistics. */
export function normalizationsOf(graph: Graph, operators: Operators): NormalizationEntry[] {
  return graph.nodes.flatMap((node) => {
    const { statistics } = traitsOf(operators, node)
    if (!statistics) return []
    const { shape } = node.inputs[0]!
    const values = shape.slice(2).reduce<number>((product, dim) => product * (dim as number), shape[0] === 'n' ? 1 : shape[0] as number)
    return [{
      layer: node.name,
      stats: statistics.policy(node.attributes),
      values: shape[0] === 'n' ? { fixed: 0, perSample: values } : { fixed: values, perSample: 0 },
    }]
  })
}
