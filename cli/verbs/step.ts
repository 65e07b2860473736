import type { TensorData } from '../../bundle/format.ts'
import { trainingProgram, type TrainStats } from '../../bundle/programs.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { readInputs } from '../inputs.ts'
import { neededInputs } from '../needed.ts'
import { collect, device, freeze, input, memory, partial, style, trainStats, tuned, weights, wholeNumber, precise } from '../options.ts'
import { showNumber } from '../screen.ts'
import { checkOutputs, fileOf, readFrom, tensorOf, writeTensors } from '../tensors.ts'
import type { Verb } from '../verb.ts'

export const step: Verb = {
  name: 'step',
  summary: 'one training step with everything it computes: loss, outputs, gradients, new parameters',
  describe(command) {
    freeze(
      device(trainStats(precise(tuned(partial(weights(memory(style(input(command.argument('<file.net|bundle>', 'the net'))))))))))
        .option('-o, --output <[name=]file>', 'results as .safetensors: outputs, grad/NAME of parameters and inputs, new/NAME', collect)
        .option('--seed <n>', "of initial parameters and dropout; default: the file's", wholeNumber)
        .option('--solver-off', 'gradients alone: parameters and statistics stay as they are'),
    )
  },
  async run({ args, options, screen }) {
    const outputs = options['output'] as string[] | undefined
    const inputs = options['input'] as string[] | undefined
    await checkOutputs(outputs, readFrom(args[0]!, options, inputs ?? []))
    const update = !options['solverOff']
    const stats = options['stats'] as TrainStats | undefined
    const task = update ? 'step' : 'gradients'
    const bundle = await loadBundle(args[0]!, {
      ...await netOptions(options, screen),
      ...(stats === 'global' && { programs: [`${task}/global`] }),
      runs: { programs: [stats === 'global' ? `${task}/global` : task], device: options['device'] as string },
    })
    const program = trainingProgram(bundle.manifest, task, stats)
    const given = await readInputs(inputs, bundle, neededInputs(bundle, program))
    if (!screen.json) { for (const note of given.notes) screen.note(note) }
    return withDevice(deviceOf(options, args[0]!, bundle), screen, async (device) => {
      const { open } = await import('../../runtime/index.ts')
      const net = await open(bundle, { device, batch: given.samples, seed: options['seed'] as number | undefined, programs: [program] })
      try {
        const result = await net.step(given.values, { update, stats })
        const shapes = new Map(
          [...bundle.manifest.outputs, ...bundle.manifest.inputs, ...bundle.manifest.parameters].map((entry) => [entry.name, entry.shape]),
        )
        const tensors = new Map<string, TensorData>()
        for (const [name, values] of Object.entries(result.outputs))
          tensors.set(name, tensorOf(values, shapes.get(name) ?? [], given.samples))
        // The sum of all losses, where no output already goes by that name.
        if (!tensors.has('loss')) tensors.set('loss', { shape: [], type: 'f64', data: Float64Array.of(result.loss) })
        for (const [name, values] of Object.entries(result.grads))
          tensors.set(`grad/${name}`, tensorOf(values, shapes.get(name) ?? [], given.samples))
        if (update) { for (const [name, tensor] of await net.parameters()) tensors.set(`new/${name}`, tensor) }
        if (outputs) await writeTensors(outputs, tensors)
        if (result.nonFinite > 0)
          screen.note(`${result.nonFinite} elements of the parameters were not updated: their gradient or new value is not finite`)
        screen.print(`loss ${showNumber(result.loss)} at batch ${given.samples} on ${device.name}`)
        screen.table(
          ['result', 'shape', 'largest', 'mean'],
          [...tensors].map(([name, { shape, data }]) => [name, `[${shape.join(', ')}]`, ...summary(data as ArrayLike<number>)]),
          [2, 3],
        )
        screen.result({
          device: device.name,
          batch: given.samples,
          loss: result.loss,
          nonFinite: result.nonFinite,
          results: Object.fromEntries([...tensors].map(([name, { shape, data }]) => [name, outputs ? { shape } : { shape, data }])),
          ...(outputs && { files: outputs.map(fileOf) }),
        })
        return EXIT.done
      } finally {
        net.close()
      }
    })
  },
}

/** Largest magnitude and mean: enough to see that something is zero or out of hand. */
function summary(values: ArrayLike<number>): [string, string] {
  let most = 0
  let sum = 0
  for (let i = 0; i < values.length; i++) {
    most = Math.max(most, Math.abs(values[i]!))
    sum += values[i]!
  }
  return [most.toPrecision(4), (sum / Math.max(1, values.length)).toPrecision(4)]
}
