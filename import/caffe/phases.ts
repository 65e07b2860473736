import type { Message } from './message.ts'

/** What rules of layers look at: NetState of caffe.proto. */
export interface NetState {
  readonly phase: 'TRAIN' | 'TEST'
  readonly level: number
  readonly stages: readonly string[]
}

/** The states in which a net is built: one for training, one for each test. */
export interface NetStates {
  readonly train: NetState
  readonly tests: readonly NetState[]
}

/** Without a solver: the net's own level and stages in both phases. */
export const statesOf = (net: Message, solver?: Message): NetStates => ({
  train: stateOf('TRAIN', [net.sub('state'), solver?.sub('train_state')]),
  tests: solver?.has('test_state')
    ? solver.messages('test_state').map((state) => stateOf('TEST', [net.sub('state'), state]))
    : [stateOf('TEST', [net.sub('state')])],
})

function stateOf(phase: NetState['phase'], parts: readonly (Message | undefined)[]): NetState {
  const given = parts.filter((part) => part !== undefined)
  return {
    phase,
    level: given.findLast((part) => part.has('level'))?.number('level') ?? 0,
    stages: given.flatMap((part) => part.texts('stage')),
  }
}

/** Whether a layer is part of the net in a state: one of its `include` rules holds, or there are none and no `exclude` rule holds. */
export function isIncluded(layer: Message, state: NetState): boolean {
  const include = layer.messages('include')
  if (include.length > 0) return include.some((rule) => meets(rule, state))
  return !layer.messages('exclude').some((rule) => meets(rule, state))
}

function meets(rule: Message, { phase, level, stages }: NetState): boolean {
  if (rule.has('phase') && rule.text('phase') !== phase) return false
  if (level < rule.number('min_level', -Infinity) || level > rule.number('max_level', Infinity)) return false
  return rule.texts('stage').every((stage) => stages.includes(stage)) && !rule.texts('not_stage').some((stage) => stages.includes(stage))
}
