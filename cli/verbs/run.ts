import { Option } from 'commander'
import type { Storage } from '../../bundle/format.ts'
import type { Numbers } from '../../bundle/device.ts'
import { oneValueLayers } from '../../runtime/one-value.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { openInputs } from '../inputs.ts'
import { collect, device, input, positiveInteger, precise, storage, style, tuned, weights } from '../options.ts'
import { neededInputs } from '../needed.ts'
import { bestOf, classNamesOf, csvOf, showPredictions } from '../predictions.ts'
import { checkOutputs, fileOf, readFrom, tensorOf, writeTensors } from '../tensors.ts'
import type { TensorData } from '../../bundle/format.ts'
import type { Verb } from '../verb.ts'

/** Samples at a time when the command line does not say: enough to keep a device busy, little enough to fit. */
const MOST_AT_ONCE = 64

export const run: Verb = {
  name: 'run',
  summary: 'infer: outputs for inputs from files',
  describe(command) {
    storage(
      device(
        precise(
          tuned(
            weights(
              style(
                input(
                  command.argument('<bundle>', 'the folder of a bundle, or a .net file').argument(
                    '[inputs...]',
                    'as --input: what a shell makes of *.png',
                  ),
                ),
              ),
            ),
          ),
        ),
      )
        .option(
          '-o, --output <[name=]file>',
          'results as .csv (a row a sample), .safetensors (all) or .npy (one); may be repeated',
          collect,
        )
        .option('--skip-broken', 'leave out pictures that cannot be read, and tell them')
        .option('--batch <count>', 'samples at a time', positiveInteger)
        .addOption(
          new Option('--stats <which>', 'statistics that batch_norm uses: the stored ones, or each batch its own').choices([
            'global',
            'batch',
          ]).default('global'),
        ),
    )
  },
  async run({ args, options, screen }) {
    const outputs = options['output'] as string[] | undefined
    const inputs = [...(options['input'] as string[] | undefined ?? []), ...args.slice(1)]
    await checkOutputs(outputs, readFrom(args[0]!, options, inputs), true)
    const stats = options['stats'] as 'global' | 'batch'
    const program = stats === 'batch' ? 'infer/batch' : 'infer'
    const runs = { programs: [program], device: options['device'] as string }
    const bundle = await loadBundle(args[0]!, { ...await netOptions(options, screen), runs })
    const given = await openInputs(inputs, bundle, neededInputs(bundle, program), { skipBroken: options['skipBroken'] === true })
    if (!screen.json) { for (const note of given.notes) screen.note(note) }
    if (!bundle.weights && bundle.manifest.parameters.length > 0)
      screen.note('these are initial weights: the bundle holds none, and none were given by --weights')

    return withDevice(deviceOf(options, args[0]!, bundle), screen, async (device) => {
      const { open } = await import('../../runtime/index.ts')
      // What a sample gives depends on no other, but for statistics of the batch: those want all of them at once.
      const atOnce = Math.min(given.samples, (options['batch'] as number | undefined) ?? (stats === 'batch' ? given.samples : MOST_AT_ONCE))
      // A single last sample has no statistics of its own: it joins the batch before it.
      const endsAlone = (left: number): boolean =>
        atOnce > 1 && left === atOnce + 1 && oneValueLayers(bundle.manifest, program, 1).length > 0
      const shapes = new Map(bundle.manifest.outputs.map((output) => [output.name, output.shape]))
      const collected = new Map<string, Numbers[]>()
      for (let from = 0; from < given.samples;) {
        const left = given.samples - from
        const size = endsAlone(left) ? left : Math.min(atOnce, left)
        if (size > atOnce)
          screen.note(`the last sample has no statistics by itself: it is normalized with the ${atOnce} before it, as a batch of ${size}`)
        const net = await open(bundle, { device, batch: size, programs: [program], storage: options['storage'] as Storage })
        try {
          for (; from + size <= given.samples && !(size === atOnce && endsAlone(given.samples - from)); from += size) {
            const result = await net.run(await given.read(from, size), { stats })
            for (const [name, values] of Object.entries(result)) {
              if (!collected.has(name)) collected.set(name, [])
              collected.get(name)!.push(values)
            }
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
      if (outputs) await writeTensors(outputs, tensors, (chosen) => csvOf(chosen, bundle, given.samples, given.names))
      else showPredictions(tensors, bundle, given.names, screen)
      const classes = [...tensors].flatMap(([name, { shape, data }]) => {
        const names = classNamesOf(bundle, name)
        return names ? [{ name, names, rank: shape.length, width: shape[1]!, data: data as Numbers }] : []
      })
      screen.result({
        device: device.name,
        samples: given.samples,
        outputs: Object.fromEntries([...tensors].map(([name, { shape, data }]) => [name, outputs ? { shape } : { shape, data }])),
        ...(given.names && { inputs: given.names }),
        ...(classes.length > 0 && {
          classes: Object.fromEntries(classes.map(({ name, names }) => [name, names])),
          best: Object.fromEntries(
            classes.filter(({ rank }) => rank === 2).map((
              { name, names, width, data },
            ) => [
              name,
              Array.from({ length: given.samples }, (_, row) => bestOf(data.subarray(row * width, (row + 1) * width), names, 1)[0] ?? null),
            ]),
          ),
        }),
        ...(given.notes.length > 0 && { notes: given.notes }),
        ...(outputs && { files: outputs.map(fileOf) }),
      })
      return EXIT.done
    })
  },
}

function join(parts: readonly Numbers[]): Numbers {
  if (parts.length === 1) return parts[0]!
  const all = new (parts[0]!.constructor as new(length: number) => Numbers)(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
