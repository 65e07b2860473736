import { type Command, Option } from 'commander'
import { UsageError } from '../../exit.ts'
import { positiveInteger } from '../../options.ts'

/** The options of `fusenet train --on torch`. */
export const describeTorch = (command: Command): Command =>
  command
    .addOption(
      new Option('--on <engine>', 'what trains: fusenet, or an installed PyTorch (torch)').choices(['fusenet', 'torch']).default('fusenet'),
    )
    .option('--nproc <n>', 'with --on torch: processes that share each batch (default: 1)', positiveInteger)
    .option('--python <path>', 'with --on torch: the Python that has PyTorch (default: python3, python)')
    .option('--local-batch-norm', 'with --on torch: each process normalizes its share of a batch by itself, another training')

export interface TorchRun {
  readonly processes: number
  readonly python?: string
  readonly localBatchNorm: boolean
}

/** Options of fusenet's own devices and kernels, and of trainings in a row. */
const OF_FUSENET = { memory: '--memory', tuned: '--tuned', cache: '--cache', precise: '--precise', seeds: '--seeds' } as const

/** Undefined where fusenet trains. Throws UsageError for options that do not go together. */
export function torchOptions(options: Readonly<Record<string, unknown>>): TorchRun | undefined {
  const of = { nproc: '--nproc', python: '--python', localBatchNorm: '--local-batch-norm' } as const
  if (options['on'] !== 'torch') {
    const given = Object.entries(of).find(([name]) => options[name] !== undefined)
    if (given) throw new UsageError(`${given[1]} goes with --on torch`)
    return undefined
  }
  const strange = Object.entries(OF_FUSENET).find(([name]) => options[name] !== undefined)?.[1] ??
    (options['wide'] === false && '--no-wide')
  if (strange) throw new UsageError(`${strange} is of fusenet's own training: leave it out with --on torch`)
  if (options['device'] !== 'auto')
    throw new UsageError(
      `--device ${
        String(options['device'])
      } is a device of fusenet: with --on torch PyTorch takes a card for each process where it sees as many, else the CPU (CUDA_VISIBLE_DEVICES= hides cards)`,
    )
  return {
    processes: (options['nproc'] as number | undefined) ?? 1,
    ...(options['python'] !== undefined && { python: options['python'] as string }),
    localBatchNorm: options['localBatchNorm'] === true,
  }
}
