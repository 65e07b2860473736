import type { ArgumentCall, ModelTraining, Note } from '../model-net.ts'
import type { Options } from './options.ts'

/** `[net]`: the input, and how the net is trained. */
export interface NetSection {
  /** [C, H, W], or [N] where the file says `inputs` alone. */
  readonly input: readonly number[]
  /** Samples of a forward pass: batch / subdivisions. */
  readonly batch: number
  readonly decays: boolean
  readonly training: ModelTraining
  /** What differs in training, told where there is a train block. */
  readonly notes: readonly Note[]
}

/** Keys that change pictures while they are loaded; the language has `mirror` and `crop`. */
const AUGMENTATIONS = [
  'angle',
  'aspect',
  'saturation',
  'exposure',
  'hue',
  'max_crop',
  'min_crop',
  'max_ratio',
  'min_ratio',
  'center',
  'flip',
  'mosaic',
  'mixup',
  'cutmix',
  'blur',
  'random',
  'letter_box',
]

/** Reads `[net]` with the defaults of Darknet's parser. */
export function readNetSection(options: Options): NetSection {
  const notes: Note[] = []
  const tell = (kind: Note['kind'], text: string): void => void notes.push({ about: options.where, kind, text })
  const all = options.count('batch', 1)
  const subdivisions = options.count('subdivisions', 1)
  const steps = options.count('time_steps', 1)
  const batch = Math.max(1, Math.floor(all / subdivisions)) * steps
  if (all % subdivisions !== 0)
    tell('changed', `batch=${all} in ${subdivisions} subdivisions is ${batch} samples each: the rest is dropped, as Darknet does`)

  const [height, width, channels] = ['height', 'width', 'channels'].map((key) => options.count(key, 0, 0)) as [number, number, number]
  const inputs = options.count('inputs', height * width * channels, 0)
  const input = height && width && channels ? [channels, height, width] : [inputs]
  if (!inputs) options.problem('says neither height, width and channels nor inputs', 'write all three, or inputs=')
  else if (input.length === 3 && inputs !== height * width * channels)
    options.problem(`inputs=${inputs}, and ${channels} x ${height} x ${width} are ${height * width * channels}`, 'leave inputs out')
  else if (inputs >= 2 ** 31) options.problem(`an input of ${inputs} numbers is more than Darknet can count`)

  const momentum = options.float('momentum', 0.9)
  const decay = options.float('decay', 0.0001)
  const solver = solverOf(options, momentum, decay, tell)
  const schedule = scheduleOf(options, tell)
  const maxBatches = options.int('max_batches', 0)
  const changes = AUGMENTATIONS.filter((key) => options.text(key) !== undefined).map((key) => `${key}=${options.text(key)!}`)
  if (changes.length > 0) {
    tell(
      'left out',
      `${
        changes.join(', ')
      }: pictures are not turned, scaled or coloured here. \`darknet classifier train\` mirrors and cuts them by chance: augment mirror, crop(size, pad: n) is nearest`,
    )
  }
  for (const key of ['clip', 'notruth', 'seen'])
    if (options.text(key) !== undefined)
      options.leaveOut(
        key === 'clip' ? 'clip: Darknet limits gradients on a GPU alone, number by number' : `${key}: belongs to Darknet's own loop`,
      )
  const training: ModelTraining = {
    batch,
    ...(subdivisions > 1 && { accumulate: subdivisions }),
    ...(maxBatches > 0 && { steps: maxBatches }),
    solver,
    ...(schedule.length > 0 && { schedule }),
  }
  return { input, batch, decays: decay !== 0, training, notes }
}

type Tell = (kind: Note['kind'], text: string) => void

function solverOf(options: Options, momentum: number, decay: number, tell: Tell): ArgumentCall {
  const lr = options.float('learning_rate', 0.001)
  if (!(momentum >= 0 && momentum < 1) || !(decay >= 0) || !(lr >= 0)) {
    options.problem(`learning_rate=${lr}, momentum=${momentum}, decay=${decay}: rates and decay are at least 0, momentum below 1`)
    return { call: 'sgd', arguments: {} }
  }
  if (options.int('adam', 0) !== 0) {
    tell(
      'differs',
      'adam=1: as on a GPU; on a CPU Darknet goes on with momentum. Its epsilon stands beside sums over the batch, here beside means',
    )
    const [beta1, beta2] = [options.float('B1', 0.9), options.float('B2', 0.999)]
    const eps = options.float('eps', 1e-7)
    if (![beta1, beta2].every((b) => b >= 0 && b < 1) || !(eps > 0))
      options.problem(`B1=${beta1}, B2=${beta2}, eps=${eps}: both lie between 0 and 1, eps above 0`)
    return { call: 'adam', arguments: { lr, beta1, beta2, delta: eps, weight_decay: decay } }
  }
  options.take('B1', 'B2', 'eps')
  if (momentum > 0 && changesRate(options)) {
    const updates = Math.round(1 / (1 - momentum))
    tell(
      'differs',
      'Darknet keeps the sum of gradients and multiplies it by the rate of the day, so that a new rate acts on old gradients too; sgd here keeps rate times gradient '
        + `(h = ${momentum} h + r g), so that old ones keep the rate of their day. Equal while the rate stays; after a change the steps meet again within some ${
          3 * updates
        } updates`,
    )
  }
  return { call: 'sgd', arguments: { lr, momentum, weight_decay: decay } }
}

const changesRate = (options: Options): boolean => (options.text('policy') ?? 'constant') !== 'constant' || options.int('burn_in', 0) > 0

/** The policy, with `burn_in` in front of it. Darknet counts the update that it is about to make as made: its t is ours + 1. */
function scheduleOf(options: Options, tell: Tell): ArgumentCall[] {
  const policy = options.text('policy') ?? 'constant'
  const burnIn = options.count('burn_in', 0, 0)
  const power = options.float('power', 4)
  const schedule = policyOf(options, policy, power, tell)
  if (schedule.length > 0 || burnIn > 0)
    tell('differs', 'Darknet counts updates from 1, schedules here from 0: each rate comes one update later')
  if (burnIn > 0 && power !== 1) {
    // The distance between u and u^p is largest at u = p^(1 / (1 - p)).
    const at = power ** (1 / (1 - power))
    tell(
      'differs',
      `burn_in=${burnIn}: Darknet's rate rises with the power ${power} of the share that is done, warmup(${burnIn}) in a straight line: by up to ${
        (100 * Math.abs(at - at ** power)).toFixed(0)
      } % of the full rate more, at update ${Math.round(at * burnIn)}`,
    )
  }
  if (burnIn > 0 && schedule.length > 0 && policy !== 'steps')
    tell('differs', `the policy counts during warmup(${burnIn}) too; in Darknet it begins behind burn_in`)
  return burnIn > 0 ? [{ call: 'warmup', arguments: { n: burnIn } }, ...schedule] : schedule
}

function policyOf(options: Options, policy: string, power: number, tell: Tell): ArgumentCall[] {
  const maxBatches = options.int('max_batches', 0)
  switch (policy) {
    case 'constant':
      return []
    case 'step': {
      const [every, gamma] = [options.count('step', 1), options.float('scale', 1)]
      if (!(gamma >= 0)) options.problem(`scale=${gamma} must be at least 0`)
      return [{ call: 'step', arguments: { gamma, every } }]
    }
    case 'steps':
      return stepsOf(options, tell)
    case 'exp': {
      const gamma = options.float('gamma', 1)
      if (!(gamma >= 0)) options.problem(`gamma=${gamma} must be at least 0`)
      return [{ call: 'exp', arguments: { gamma } }]
    }
    case 'poly':
      if (!(power >= 0)) options.problem(`power=${power} must be at least 0`)
      if (maxBatches > 0) return [{ call: 'poly', arguments: { power } }]
      options.problem('policy=poly without max_batches: Darknet divides by 0', 'write max_batches=')
      return []
    case 'sigmoid': {
      const [gamma, step] = [options.float('gamma', 1), options.count('step', 1, 0)]
      tell(
        'differs',
        `policy=sigmoid: Darknet's rate is 0 before update ${step}, since it counts without sign; here it follows the curve on both sides`,
      )
      return [{ call: 'sigmoid', arguments: { gamma: -gamma, step } }]
    }
    case 'random':
      tell('left out', 'policy=random: rates by chance are no schedule here; the rate is fixed')
      return []
    default:
      tell('changed', `policy=${policy.slice(0, 40)} is not known to Darknet of 2018, which goes on with a constant rate`)
      return []
  }
}

/** `steps` and `scales`: at each step the rate is multiplied by its scale. Runs of equal scales are one `multistep` each; their factors multiply. */
function stepsOf(options: Options, tell: Tell): ArgumentCall[] {
  const [steps, scales] = [options.list('steps'), options.list('scales')]
  if (!steps || !scales) {
    options.problem('policy=steps needs steps= and scales=')
    return []
  }
  if (scales.length < steps.length) {
    options.problem(`${steps.length} steps and ${scales.length} scales: each step has one`)
    return []
  }
  const runs: { gamma: number; at: number[] }[] = []
  let last = 0
  for (const [i, step] of steps.entries()) {
    if (step < 0) {
      tell(
        'changed',
        `steps=${step}: compared without sign it is never reached, so that Darknet's rate stays from there on; ${
          steps.length - i
        } of ${steps.length} steps are left out`,
      )
      break
    }
    // A step is looked at when those in front are reached.
    last = Math.max(last, Math.trunc(step))
    const gamma = scales[i]!
    if (!(gamma >= 0)) options.problem(`scales: ${gamma} must be at least 0`)
    const run = runs.at(-1)
    if (run?.gamma === gamma) run.at.push(last)
    else runs.push({ gamma, at: [last] })
  }
  return runs.map(({ gamma, at }) => ({ call: 'multistep', arguments: { gamma, at } }))
}
