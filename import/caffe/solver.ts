import type { ImportProblem } from '../import-error.ts'
import type { Argument, ArgumentCall, ModelTraining, Note } from '../model-net.ts'
import type { Message } from './message.ts'

/*
 * A SolverParameter as a train block. Formulas are the same: those of the language are Caffe's.
 */

const TYPES: Readonly<Record<string, string>> = {
  SGD: 'SGD',
  NESTEROV: 'Nesterov',
  ADAGRAD: 'AdaGrad',
  RMSPROP: 'RMSProp',
  ADADELTA: 'AdaDelta',
  ADAM: 'Adam',
}

/** Fields that say how Caffe runs, not what it learns. */
const RUN_FIELDS = [
  'test_iter',
  'test_compute_loss',
  'test_initialization',
  'display',
  'average_loss',
  'snapshot_prefix',
  'snapshot_diff',
  'snapshot_format',
  'solver_mode',
  'device_id',
  'debug_info',
  'snapshot_after_train',
  'layer_wise_reduce',
]

export interface SolverSettings {
  readonly training: ModelTraining
  readonly notes: readonly Note[]
}

/** Problems: types and policies that nobody knows, numbers that a policy lacks. */
export function solverSettings(file: string, solver: Message, problems: ImportProblem[]): SolverSettings {
  const notes: Note[] = []
  const told = (what: string, mend?: string): void => {
    problems.push({ where: `${file}:${solver.line}`, what, ...(mend !== undefined && { mend }) })
  }
  const run = RUN_FIELDS.filter((name) => solver.has(name))
  if (run.length > 0) notes.push({ about: file, kind: 'left out', text: `${run.join(', ')}: how Caffe runs, not what it learns` })
  for (const name of ['weights', 'stage_lr'].filter((field) => solver.has(field))) {
    notes.push({
      about: file,
      kind: 'left out',
      text: name === 'weights' ? `weights: ${solver.texts('weights').join(', ')}; say it to \`fusenet train --weights\``
        : `${name} has no equal`,
    })
  }
  if (solver.has('test_net') || solver.has('test_net_param')) {
    notes.push({ about: file, kind: 'left out', text: 'test_net: a net here is one for training and tests, the train_net' })
  }
  const seed = solver.number('random_seed', -1)
  const size = solver.number('iter_size', 1)
  const method = methodOf(solver, told)
  const schedule = scheduleOf(solver, told)
  const positive = (name: string): number | undefined => (solver.number(name, 0) > 0 ? solver.number(name) : undefined)
  const settings: Record<string, number | undefined> = {
    accumulate: size > 1 ? size : undefined,
    steps: positive('max_iter'),
    seed: seed >= 0 ? seed : undefined,
    snapshotEvery: positive('snapshot'),
    testEvery: positive('test_interval'),
  }
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
  return { training: { ...given, ...(method && { solver: method }), ...(schedule && { schedule: [schedule] }) }, notes }
}

type Tell = (what: string, mend?: string) => void

function methodOf(solver: Message, told: Tell): ArgumentCall | undefined {
  if (solver.has('type') && solver.has('solver_type')) told('it has type and solver_type', 'leave one of them')
  const type = solver.has('solver_type') ? TYPES[solver.text('solver_type')!]! : solver.text('type', 'SGD')
  const args: Record<string, Argument> = {}
  const lr = solver.number('base_lr')
  if (lr === undefined) told('it has no base_lr', 'add base_lr: 0.01')
  else args['lr'] = lr
  const momentum = solver.number('momentum', 0)
  const delta = solver.number('delta', 1e-8)
  switch (type) {
    case 'SGD':
    case 'Nesterov':
      args['momentum'] = momentum
      break
    case 'AdaGrad':
      if (momentum !== 0) told(`AdaGrad has no momentum, and this has ${momentum}`, 'leave momentum out; Caffe refuses it too')
      args['delta'] = delta
      break
    case 'RMSProp':
      if (momentum !== 0) told(`RMSProp has no momentum, and this has ${momentum}`, 'leave momentum out; Caffe refuses it too')
      args['decay'] = solver.number('rms_decay', 0.99)
      args['delta'] = delta
      break
    case 'AdaDelta':
      args['momentum'] = momentum
      args['delta'] = delta
      break
    case 'Adam':
      args['beta1'] = momentum
      args['beta2'] = solver.number('momentum2', 0.999)
      args['delta'] = delta
      break
    default:
      told(`its type is ${type}`, `there are ${Object.values(TYPES).join(', ')}`)
      return undefined
  }
  args['weight_decay'] = solver.number('weight_decay', 0)
  const regularize = solver.text('regularization_type', 'L2')
  if (regularize === 'L1') args['regularize'] = 'l1'
  else if (regularize !== 'L2') told(`its regularization_type is ${regularize}`, 'there are L1 and L2')
  const clip = solver.number('clip_gradients', -1)
  if (clip >= 0) args['clip_gradients'] = clip
  return { call: type.toLowerCase(), arguments: args }
}

/** What each policy reads. */
const POLICIES: Readonly<Record<string, readonly string[]>> = {
  fixed: [],
  step: ['gamma', 'stepsize'],
  exp: ['gamma'],
  inv: ['gamma', 'power'],
  multistep: ['gamma'],
  poly: ['power'],
  sigmoid: ['gamma', 'stepsize'],
}

function scheduleOf(solver: Message, told: Tell): ArgumentCall | undefined {
  const policy = solver.text('lr_policy')
  const fields = policy === undefined ? undefined : POLICIES[policy]
  if (policy === undefined || !fields) {
    told(policy === undefined ? 'it has no lr_policy' : `its lr_policy is ${policy}`, `there are ${Object.keys(POLICIES).join(', ')}`)
    return undefined
  }
  // What a file leaves out is 0 for Caffe: a power of 0 is a fixed rate, a gamma of 0 stops learning.
  if (fields.includes('stepsize') && !(solver.number('stepsize', 0) > 0)) {
    told(`${policy} wants a stepsize above 0`)
    return undefined
  }
  const [gamma, power, size] = [solver.number('gamma', 0), solver.number('power', 0), solver.number('stepsize', 0)]
  switch (policy) {
    case 'step':
      return { call: 'step', arguments: { gamma, every: size } }
    case 'exp':
      return { call: 'exp', arguments: { gamma } }
    case 'inv':
      return { call: 'inv', arguments: { gamma, power } }
    case 'multistep':
      return solver.has('stepvalue') ? { call: 'multistep', arguments: { gamma, at: solver.numbers('stepvalue') } }
        : { call: 'fixed', arguments: {} }
    case 'poly':
      return { call: 'poly', arguments: { power } }
    case 'sigmoid':
      return { call: 'sigmoid', arguments: { gamma, step: size } }
    default:
      return { call: 'fixed', arguments: {} }
  }
}
