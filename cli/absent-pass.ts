import { type Memory, type ProgramName, type Storage, type Style } from '../bundle/format.ts'
import { PLAN_KINDS } from '../bundle/plans.ts'

/** How a net was compiled that is looked at: `programs` are those it has, `shown` those that were asked for. */
export interface Lowering {
  readonly style: Style
  readonly memory: Memory
  /** The name of the target. */
  readonly target: string
  readonly without: readonly string[]
  readonly programs: readonly ProgramName[]
  readonly shown: readonly string[]
}

/** Why a pass of the compiler left nothing to look at, and what shows it: another program, or the first option with which it runs. */
export async function sayAbsent(pass: string, lowering: Lowering): Promise<string> {
  const { programsOfStep } = await import('../compiler/pipeline.ts')
  const { PROGRAMS } = await import('../bundle/format.ts')
  const { programs } = lowering
  const runsWith = (change: Partial<Lowering>, among: readonly ProgramName[] = programs): readonly string[] =>
    programsOfStep(pass, { ...lowering, ...change }, among)

  const here = runsWith({})
  if (here.length > 0) return `${pass} does not run in ${lowering.shown.join(', ')}: it runs in ${here.join(', ')} (--program ${here[0]!})`
  if (runsWith({ without: [] }).length > 0) return `${pass} was left out: it runs without --without ${leftOutBy(pass, lowering.without)}`
  const { storage } = PLAN_KINDS.find(({ name }) => name === lowering.target) ?? { storage: 'f32' as Storage }
  const ways: readonly (readonly [string, Partial<Lowering>])[] = [
    ['--style merged', { style: 'merged' }],
    ['--memory small', { memory: 'small' }],
    ['--memory fast', { memory: 'fast' }],
    ...PLAN_KINDS.map((kind) =>
      [kind.storage !== storage && kind.storage === 'f16' ? '--storage f16' : `--device ${kind.name}`, { target: kind.name }] as const
    ),
  ]
  const way = ways.find(([, change]) => runsWith(change).length > 0)
  if (way) return `${pass} did not run: it runs with ${way[0]}, in ${runsWith(way[1]).join(', ')}`
  const elsewhere = runsWith({}, PROGRAMS)
  return elsewhere.length > 0
    ? `${pass} did not run: it is for ${elsewhere.join(', ')}, of which this net has none (it has ${programs.join(', ')})`
    : `${pass} did not run (--after all shows what ran)`
}

/** The name that leaves a pass out: its own, or `fuse` for all passes over kernels. */
const leftOutBy = (pass: string, without: readonly string[]): string => (without.includes(pass) ? pass : without.join(', '))
