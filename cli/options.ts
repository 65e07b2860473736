import { type Command, InvalidArgumentError, Option } from 'commander'
import { WASM } from '../bundle/plans.ts'
import { DEVICE_CHOICES } from '../runtime/devices.ts'
import { MOST_THREADS } from '../runtime/wasm/device.ts'
import { INTERPRETER } from './devices.ts'
import { UsageError } from './exit.ts'

/** Options that several verbs share, and how their values are read. */

export const positiveInteger = (text: string): number => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('A whole number from 1 on is wanted.')
  return value
}

export const wholeNumber = (text: string): number => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('A whole number from 0 on is wanted.')
  return value
}

export const positiveNumber = (text: string): number => {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('A number above 0 is wanted.')
  return value
}

/** Names between commas. */
export const names = (text: string): readonly string[] => {
  const found = text.split(',').map((name) => name.trim())
  if (found.some((name) => name === '')) throw new InvalidArgumentError('Names between commas are wanted.')
  return [...new Set(found)]
}

/** Collects the values of an option that may be given several times. */
export const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value]

export const style = (command: Command): Command =>
  command.addOption(
    new Option('--style <style>', 'how batch normalization is lowered, whatever the file says').choices(['merged', 'split']),
  )

export const memory = (command: Command): Command =>
  command.addOption(
    new Option(
      '--memory <memory>',
      'small: training computes again what it would keep from the forward pass; slower, for nets that would not fit',
    ).choices(['fast', 'small']),
  )

export const precise = (command: Command): Command =>
  command.option(
    '--precise',
    "without Winograd's algorithm: on the CPU convolutions round like sums of products, and an outlier reaches its own outputs alone",
  )

/** Stands in the place of patterns: all learns, whatever a bundle was compiled for. */
const NOTHING = 'none'

export const freeze = (command: Command): Command =>
  command.option(
    '--freeze <patterns>',
    `parameters that do not learn, by names of layers or blocks between commas: 'conv*,bn1', '*,!fc2' (all but fc2); ${NOTHING}: all learn, where a bundle says otherwise`,
    (text) => (text === NOTHING ? [] : names(text)),
  )

export const device = (command: Command): Command =>
  onCpu(command.addOption(new Option('--device <device>', 'where it runs').choices([...DEVICE_CHOICES, INTERPRETER]).default('auto')))

const threads = (text: string): number => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MOST_THREADS)
    throw new InvalidArgumentError(`A whole number from 1 to ${MOST_THREADS} is wanted.`)
  return value
}

/** The options of devices that concern the CPU alone: another device, chosen by name, refuses them. */
const onCpu = (command: Command): Command =>
  command.option('--threads <n>', `on wasm: threads that share the work, 1 to ${MOST_THREADS} (default: one for each core)`, threads)
    .option('--no-wide', 'on wasm: without vectors of twice the width, which Node has from 24 on (x86-64 with AVX2)')
    .hook('preAction', () => refuseOnCpuAlone(command.opts()))

function refuseOnCpuAlone({ device, threads, wide }: Readonly<Record<string, unknown>>): void {
  if (device === WASM || device === 'auto') return
  const given = threads !== undefined ? '--threads' : wide === false ? '--no-wide' : undefined
  if (given) throw new UsageError(`${given} is for the CPU, --device ${WASM}: leave it out with --device ${String(device)}`)
}

export const storage = (command: Command): Command =>
  command.addOption(
    new Option(
      '--storage <type>',
      'how values between layers and weights are stored: f16 halves what is moved, on adapters with shader-f16',
    ).choices(['f32', 'f16']).default('f32'),
  ).hook('preAction', () => refuseHalfOnCpu(command.opts()))

function refuseHalfOnCpu({ device, storage }: Readonly<Record<string, unknown>>): void {
  if (storage === 'f16' && (device === WASM || device === INTERPRETER))
    throw new UsageError(`--storage f16 is for WebGPU: leave it out with --device ${device}`)
}

/** The option for statistics of training; what is evaluated has its own, which defaults to the other. */
export const trainStats = (command: Command): Command =>
  command.addOption(
    new Option(
      '--stats <which>',
      'statistics that batch_norm normalizes with: each batch its own, or the stored ones, which then stay as they are (for few or single samples)',
    )
      .choices(['batch', 'global']),
  )

/** The option `--device` for measurements: without the interpreter, which is a reference and only slow. */
export const hardwareDevice = (command: Command): Command =>
  onCpu(command.addOption(new Option('--device <device>', 'where it runs').choices(DEVICE_CHOICES).default('auto')))

/** The options that ask for schedules that `fusenet tune` found. Without them none are used. */
export const tuned = (command: Command): Command =>
  command.option('--tuned', 'compile with the schedules that fusenet tune found here')
    .option('--cache <file>', 'compile with the schedules of this file')

export const json = (command: Command): Command => command.option('--json', 'print JSON on standard output')

/** Stands in the place of a file of weights: none, whatever a bundle brings. */
export const FRESH = 'fresh'

export const weights = (command: Command): Command =>
  command.option('--weights <file>', `parameters from a .safetensors file or a bundle; ${FRESH}: initial values, whatever the bundle holds`)

export const partial = (command: Command): Command =>
  command.option(
    '--partial',
    'take of --weights what fits by name and shape, as of a net with another head, and let all else start fresh; a table says which',
  )
    .option(
      '--fresh <patterns>',
      'with --partial: parameters that start fresh all the same, by names of layers between commas: fc2,head*',
      names,
    )

export const input = (command: Command): Command =>
  command.option(
    '--input <[name=]file>',
    '.safetensors or .csv with all inputs, or .npy, pictures, a folder or a pattern of them for one; may be repeated',
    collect,
  )
