import { Option } from 'commander'
import type { Storage } from '../../runtime/format.ts'
import type { Numbers } from '../../runtime/device.ts'
import { oneValueLayers } from '../../runtime/one-value.ts'
import { elementCount } from '../../runtime/sizes.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { collect, device, input, positiveInteger, storage, style, tuned, weights } from '../options.ts'
import { neededInputs } from '../needed.ts'
import { type Screen, showNumber } from '../screen.ts'
import { checkOutputs, readInputs, tensorOf, writeTensors } from '../tensors.ts'
import type { TensorData } from '../../runtime/format.ts'
import type { Verb } from '../verb.ts'

/** Samples at a time when the command line does not say: enough to keep a device busy, little enough to fit. */
const MOST_AT_ONCE = 64

export const run: Verb = {
  name: 'run',
  summary: 'infer: outputs for inputs from files',
  describe(command) {
    storage(device(tuned(weights(style(input(command.argument('<bundle>', 'the folder of a bundle, or a .net file'))))))
      .option('-o, --output <[name=]file>', 'results as .safetensors (all) or .npy (one); may be repeated', collect)
      .option('--batch <count>', 'samples at a time', positiveInteger)
      .addOption(new Option('--stats <which>', 'statistics that batch_norm uses: the stored ones, or each batch its own').choices(['global', 'batch']).default('global')))
  },
  async run({ args, options, screen }) {
    const outputs = options['output'] as string[] | undefined
    checkOutputs(outputs)
    const bundle = await loadBundle(args[0]!, await netOptions(options, screen))
    const stats = options['stats'] as 'global' | 'batch'
    const program = stats === 'batch' ? 'infer/batch' : 'infer'
    const given = await readInputs(options['input'] as string[] | undefined, bundle, neededInputs(bundle, program))
    if (!bundle.weights && bundle.manifest.parameters.length > 0) screen.note('these are initial weights: the bundle holds none, and none were given by --weights')

    return withDevice(deviceOf(options, bundle), screen, async (device) => {
      const { open } = await import('../../runtime/index.ts')
      // What a sample gives depends on no other, but for statistics of the batch: those want all of them at once.
      const atOnce = Math.min(given.samples, (options['batch'] as number | undefined) ?? (stats === 'batch' ? given.samples : MOST_AT_ONCE))
      // A single last sample has no statistics of its own: it joins the batch before it.
      const endsAlone = (left: number): boolean => atOnce > 1 && left === atOnce + 1 && oneValueLayers(bundle.manifest, program, 1).length > 0
      const shapes = new Map(bundle.manifest.outputs.map((output) => [output.name, output.shape]))
      const collected = new Map<string, Numbers[]>()
      for (let from = 0; from < given.samples;) {
        const left = given.samples - from
        const size = endsAlone(left) ? left : Math.min(atOnce, left)
        if (size > atOnce) screen.note(`the last sample has no statistics by itself: it is normalized with the ${atOnce} before it, as a batch of ${size}`)
        const net = await open(bundle, { device, batch: size, programs: [program], storage: options['storage'] as Storage })
        try {
          for (; from + size <= given.samples && !(size === atOnce && endsAlone(given.samples - from)); from += size) {
            const result = await net.run(slice(given.values, bundle, from, size), { stats })
            for (const [name, values] of Object.entries(result)) collected.set(name, [...(collected.get(name) ?? []), values])
          }
        } finally {
          net.close()
        }
      }
      const tensors = new Map<string, TensorData>()
      for (const [name, parts] of collected) {
        const shape = shapes.get(name) ?? []
        tensors.set(name, tensorOf(shape[0] === 'n' ? join(parts) : parts[0]!, shape, given.samples))
      }
      if (outputs) await writeTensors(outputs, tensors)
      else show(tensors, screen)
      screen.result({
        device: device.name, samples: given.samples,
        outputs: Object.fromEntries([...tensors].map(([name, { shape, data }]) => [name, outputs ? { shape } : { shape, data }])),
        ...(outputs && { files: outputs.map((text) => text.replace(/^[\w./]+=/, '')) }),
      })
      return EXIT.done
    })
  },
}

function slice(values: Readonly<Record<string, Numbers>>, bundle: { manifest: { inputs: readonly { name: string; shape: readonly (number | 'n')[] }[] } }, from: number, count: number): Record<string, Numbers> {
  return Object.fromEntries(bundle.manifest.inputs.filter((entry) => values[entry.name]).map((entry) => {
    const all = values[entry.name]!
    const size = elementCount(entry.shape)
    return [entry.name, entry.shape[0] === 'n' ? all.subarray(from * size, (from + count) * size) as Numbers : all]
  }))
}

function join(parts: readonly Numbers[]): Numbers {
  if (parts.length === 1) return parts[0]!
  const all = new (parts[0]!.constructor as new (length: number) => Numbers)(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Without -o: the largest values of each row, the answer of a classifier; the whole where it is short. */
function show(tensors: ReadonlyMap<string, TensorData>, screen: Screen): void {
  for (const [name, { shape, data }] of tensors) {
    const values = Array.from(data as ArrayLike<number>)
    screen.print(`${screen.colors.bold(name)} [${shape.join(', ')}]`)
    const width = shape.length === 2 ? shape[1]! : values.length
    const rows = shape.length === 2 ? Math.min(shape[0]!, 20) : 1
    for (let row = 0; row < rows; row++) {
      const line = values.slice(row * width, (row + 1) * width)
      const best = line.map((value, index) => ({ value, index })).sort((a, b) => b.value - a.value).slice(0, 5)
      screen.print(shape.length === 2 && width > 1
        ? `  ${row}: ${best.map(({ value, index }) => `${index} (${showNumber(value)})`).join('  ')}`
        : `  ${line.slice(0, 10).map(showNumber).join(' ')}${line.length > 10 ? ' ...' : ''}`)
    }
    if (shape.length === 2 && shape[0]! > rows) screen.print(`  ... ${shape[0]! - rows} more; -o writes all`)
  }
}
