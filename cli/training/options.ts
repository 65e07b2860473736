import { type Command, InvalidArgumentError, Option } from 'commander'
import { isShare } from '../../runtime/data/limit.ts'
import { UsageError } from '../exit.ts'
import { device, freeze, memory, partial, positiveInteger, positiveNumber, precise, style, trainStats, tuned, weights,
  wholeNumber } from '../options.ts'
import type { TrainChoices } from './choices.ts'
import { KEPT } from './keeper.ts'
import { describeTorch } from './torch/options.ts'

/** The words of `fusenet train`. */
export function describeTrain(command: Command): void {
  freeze(
    describeTorch(device(
      trainStats(precise(tuned(partial(weights(memory(style(command.argument('<file.net>', 'a program, or a bundle to go on with')))))))),
    ))
      .option(
        '--data <data>',
        "mnist, fashion_mnist, cifar10, a folder (idx:DIR, cifar10:DIR, images:DIR), or files: x=x.npy,t=t.npy, data.safetensors, data.csv; default: the file's",
      )
      .option('--test-data <data>', 'what it is tested with, where the data have no test part; default: every fifth sample, kept back')
      .option('--skip-broken', 'leave out pictures that cannot be read, and count them')
      .addOption(
        new Option('--epochs <n>', "how often the data are seen in all, with what --resume goes on from; default: the file's").argParser(
          positiveInteger,
        ).conflicts('steps'),
      )
      .option('--steps <n>', 'updates in all, with those that --resume goes on from', positiveInteger)
      .option('--seed <n>', "of initial parameters, order and dropout; default: the file's", wholeNumber)
      .option('--seeds <k>', 'train k times with successive seeds; mean and deviation are told', positiveInteger)
      .option('--batch <n>', "samples an update; default: the file's", positiveInteger)
      .option('--limit <n>', 'use n training samples alone, of all classes', positiveInteger)
      .option(
        '--validation <share>',
        'keep back a share of the training samples (0.1, 10%), or so many, of all classes, for the tests on the way',
        share,
      )
      .option(
        '--best <metric>',
        'the bundle gets the weights of the best test on the way: accuracy, loss, or NAME:higher, NAME:lower of a metric',
      )
      .option(
        '--patience <n>',
        'end when n tests in a row were no better than the best before; the bundle gets the best weights',
        positiveInteger,
      )
      .option('--minutes <m>', 'train no longer than this, then snapshot, test and write as usual', positiveNumber)
      .option('-o, --output <bundle>', 'where the trained bundle goes (with --seeds, of the first seed); default: out/NAME')
      .option('--keep-going', 'train on where the loss, a gradient or a weight is not finite; without it that ends the training')
      .option('--resume <path>', 'go on with a training: the folder of snapshots (its last training), of one training, or one snapshot')
      .option('--snapshot-dir <dir>', 'where each training gets a folder for its snapshots; default: OUTPUT.snapshots')
      .option(
        '--keep <n>',
        'snapshots to keep besides the best by test, or all; none: those on the way go when it has ended well',
        kept,
        KEPT,
      ),
  )
}

const share = (text: string): number => {
  const value = /^[\d.]+%$/.test(text) ? Number(text.slice(0, -1)) / 100 : Number(text)
  if (text.trim() === '' || !isShare(value))
    throw new InvalidArgumentError('A share of the samples is wanted, 0.1 or 10%, or a number of them from 2 on.')
  return value
}

const kept = (text: string): number => {
  if (text === 'all') return Infinity
  if (text === 'none' || text === '0') return 0
  try {
    return positiveInteger(text)
  } catch {
    throw new InvalidArgumentError('A whole number is wanted, or all, or none.')
  }
}

/** The number of snapshots as `--keep` spells it. */
export const keptText = (keep: number): string => (keep === Infinity ? 'all' : keep === 0 ? 'none' : String(keep))

/** The options of the command line for the training, besides those of the net. */
export interface TrainOptions {
  /** The options that a snapshot keeps. */
  readonly choices: TrainChoices
  readonly seeds: number
  readonly mostSeconds: number
  readonly resume?: string
  readonly snapshotDir?: string
  readonly keep: number
  readonly keepGoing: boolean
  readonly again: readonly string[]
}

const CHOICES = [
  'data',
  'testData',
  'skipBroken',
  'batch',
  'limit',
  'epochs',
  'steps',
  'seed',
  'style',
  'memory',
  'precise',
  'stats',
  'freeze',
  'validation',
  'best',
  'patience',
  'output',
] as const
/** Options that may differ when a training is resumed, so that the command line must repeat them. */
const AGAIN = ['device', 'threads', 'cache', 'minutes', 'keep'] as const

export function trainOptions(options: Readonly<Record<string, unknown>>): TrainOptions {
  const text = (name: string): string | undefined => options[name] as string | undefined
  const seeds = (options['seeds'] as number | undefined) ?? 1
  const resume = text('resume')
  if (resume !== undefined && seeds > 1) throw new UsageError('--resume goes on with one training, --seeds starts several')
  if (resume !== undefined && text('weights') !== undefined)
    throw new UsageError('--resume brings the parameters with it, --weights starts a new training: leave one of them out')
  const usual = (name: string): boolean => (name === 'device' && options[name] === 'auto') || (name === 'keep' && options[name] === KEPT)
  return {
    choices: Object.fromEntries(CHOICES.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])),
    seeds,
    mostSeconds: 60 * ((options['minutes'] as number | undefined) ?? Infinity),
    resume,
    snapshotDir: text('snapshotDir'),
    keep: options['keep'] as number,
    keepGoing: options['keepGoing'] === true,
    again: [
      ...AGAIN.filter((name) => options[name] !== undefined && !usual(name)).flatMap((
        name,
      ) => [`--${name}`, name === 'keep' ? keptText(options[name] as number) : String(options[name])]),
      ...(options['tuned'] === true ? ['--tuned'] : []),
      ...(options['keepGoing'] === true ? ['--keep-going'] : []),
    ],
  }
}
