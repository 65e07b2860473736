import { type Command, Option } from 'commander'
import { UsageError } from '../exit.ts'
import { device, memory, positiveInteger, positiveNumber, style, trainStats, tuned, weights, wholeNumber } from '../options.ts'
import type { TrainChoices } from './snapshots.ts'

/** The words of `fusenet train`. */
export function describeTrain(command: Command): void {
  device(trainStats(tuned(weights(memory(style(command.argument('<file.net>', 'a program, or a bundle to go on with'))))))
    .option('--data <data>', 'mnist, fashion_mnist, cifar10, a folder (idx:DIR, cifar10:DIR, images:DIR), or files: x=x.npy,t=t.npy, data.safetensors, data.csv; default: the file\'s')
    .option('--test-data <data>', 'what it is tested with, where the data have no test part; default: every fifth sample, kept back')
    .option('--skip-broken', 'leave out pictures that cannot be read, and count them')
    .addOption(new Option('--epochs <n>', 'how often the data are seen; default: the file\'s').argParser(positiveInteger).conflicts('steps'))
    .option('--steps <n>', 'updates in all', positiveInteger)
    .option('--seed <n>', 'of initial parameters, order and dropout; default: the file\'s', wholeNumber)
    .option('--seeds <k>', 'train k times with successive seeds; mean and deviation are told', positiveInteger)
    .option('--batch <n>', 'samples an update; default: the file\'s', positiveInteger)
    .option('--limit <n>', 'use n training samples alone, of all classes', positiveInteger)
    .option('--minutes <m>', 'train no longer than this, then test and write as usual', positiveNumber)
    .option('-o, --output <bundle>', 'write the trained bundle (with --seeds, of the first seed)')
    .option('--resume <dir>', 'go on from the newest snapshot there')
    .option('--snapshot-dir <dir>', 'where snapshots go; default: NAME.snapshots'))
}

/** What the command line says about the training, besides the net. */
export interface TrainOptions {
  /** What a snapshot keeps. */
  readonly choices: TrainChoices
  readonly seed?: number
  readonly seeds: number
  readonly mostSeconds: number
  readonly output?: string
  readonly resume?: string
  readonly snapshotDir?: string
}

const CHOICES = ['data', 'testData', 'skipBroken', 'batch', 'limit', 'epochs', 'steps', 'style', 'memory', 'stats'] as const

export function trainOptions(options: Readonly<Record<string, unknown>>): TrainOptions {
  const text = (name: string): string | undefined => options[name] as string | undefined
  const number = (name: string): number | undefined => options[name] as number | undefined
  const seeds = number('seeds') ?? 1
  const resume = text('resume')
  if (resume !== undefined && seeds > 1) throw new UsageError('--resume goes on with one training, --seeds starts several')
  return {
    choices: Object.fromEntries(CHOICES.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])),
    seed: number('seed'), seeds, mostSeconds: 60 * (number('minutes') ?? Infinity), output: text('output'), resume, snapshotDir: text('snapshotDir'),
  }
}
