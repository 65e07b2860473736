import { InputError } from '../../runtime/errors.ts'
import { trainingProgram } from '../../runtime/programs.ts'
import { checkPlace } from '../../runtime/write-bundle.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { netData } from '../datasets.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { neededInputs } from '../needed.ts'
import { showMetric, spreadOf } from '../metrics.ts'
import type { Job, Result } from '../training/job.ts'
import { describeTrain, trainOptions } from '../training/options.ts'
import { trainOnce } from '../training/run.ts'
import { readSnapshot, type TrainChoices } from '../training/snapshots.ts'
import type { Verb } from '../verb.ts'

export const train: Verb = {
  name: 'train',
  summary: 'train a net, test it, write a bundle with its weights',
  describe: describeTrain,
  async run({ args, options, screen }) {
    const file = args[0]!
    const { choices: given, seed, seeds, mostSeconds, output, resume, snapshotDir } = trainOptions(options)
    const resumed = resume === undefined ? undefined : await readSnapshot(resume)
    // A new length replaces the old one, in whichever unit it was told.
    const { epochs, steps, ...kept } = resumed?.choices ?? {}
    const choices: TrainChoices = { ...kept, ...(given.epochs === undefined && given.steps === undefined && { epochs, steps }), ...given }

    if (output !== undefined) await checkPlace(output)
    const bundle = await loadBundle(file, {
      ...await netOptions(options, screen), style: choices.style, memory: choices.memory, batch: choices.batch, ...(choices.stats === 'global' && { programs: ['train/global'] }),
    })
    const lossless = !bundle.manifest.outputs.some((output) => output.role === 'loss')
    if (lossless) throw new InputError(`${file} has no loss, so there is nothing to train`)
    if (!bundle.manifest.train) throw new InputError(`${file} has no train block: write at least \`train { batch 32  solver sgd(lr: 0.05, momentum: 0.9) }\``)
    const firstSeed = seed ?? resumed?.snapshot.seed ?? bundle.manifest.train.seed
    const data = await netData(bundle, {
      option: choices.data, testData: choices.testData, skipBroken: choices.skipBroken, limit: choices.limit, seed: firstSeed,
      inputs: neededInputs(bundle, trainingProgram(bundle.manifest, 'train', choices.stats)), use: 'train',
    }, screen)
    const job: Job = {
      file, bundle, data, choices, resumed, output, mostSeconds,
      snapshots: snapshotDir ?? resume ?? `${output ?? bundle.manifest.name}.snapshots`,
    }

    return withDevice(deviceOf(options, bundle), screen, async (device) => {
      const results: Result[] = []
      for (let i = 0; i < seeds; i++) {
        const result = await trainOnce(job, firstSeed + i, device, screen, i === 0)
        if (result === 'interrupted') return EXIT.interrupted
        results.push(result)
      }
      const spread = spreadOf(results.map((result) => result.test))
      if (seeds > 1) {
        screen.print(`over ${seeds} seeds:`)
        screen.table(['test', 'mean', 'deviation'], Object.entries(spread).map(([name, { mean, deviation }]) => [name, showMetric(name, mean), showMetric(name, deviation)]), [1, 2])
      }
      screen.event({ event: 'done', device: device.name, runs: results, ...(seeds > 1 && { spread }), ...(output !== undefined && { bundle: output }) })
      return EXIT.done
    })
  },
}
