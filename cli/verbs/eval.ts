import { Option } from 'commander'
import type { Storage } from '../../bundle/format.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { netData } from '../datasets.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { neededInputs } from '../needed.ts'
import { device, positiveInteger, storage, style, tuned, weights, precise } from '../options.ts'
import { progress } from '../progress.ts'
import { showMetric } from '../metrics.ts'
import { showClasses } from '../per-class.ts'
import type { Verb } from '../verb.ts'
import { countOf } from '../../bundle/plain.ts'

export const evaluate: Verb = {
  name: 'eval',
  summary: 'loss and metrics over test data',
  describe(command) {
    storage(
      device(precise(tuned(weights(style(command.argument('<bundle>', 'the folder of a bundle, or a .net file'))))))
        .option('--data <data>', "as for train; default: the file's")
        .addOption(
          new Option('--stats <which>', 'statistics that batch_norm uses: the stored ones, or each batch its own').choices([
            'global',
            'batch',
          ]).default('global'),
        )
        .addOption(
          new Option('--part <part>', 'which samples, as training divides them; default: all of --data, or the test part if there is one')
            .choices(['test', 'train', 'validation']),
        )
        .option('--per-class', 'precision, recall and F1 of each class, and which class was taken for which')
        .option('--skip-broken', 'leave out pictures that cannot be read, and count them')
        .option('--batch <n>', "samples at a time; default: the file's", positiveInteger)
        .option('--limit <n>', 'n samples alone, of all classes', positiveInteger),
    )
  },
  async run({ args, options, screen }) {
    const stats = options['stats'] as 'global' | 'batch'
    const program = stats === 'batch' ? 'eval/batch' : 'eval'
    const perClass = options['perClass'] === true
    const programs = [program, ...(perClass ? [stats === 'batch' ? 'infer/batch' : 'infer'] : [])]
    const runs = { programs, device: options['device'] as string }
    const bundle = await loadBundle(args[0]!, { ...await netOptions(options, screen), runs })
    // Says why, if there is nothing to evaluate.
    const inputs = neededInputs(bundle, program)
    if (!bundle.weights && bundle.manifest.parameters.length > 0)
      screen.note('these are initial weights: the bundle holds none, and none were given by --weights')
    const { best } = bundle.manifest
    if (best && !screen.json)
      screen.note(
        `its weights are those of epoch ${best.epoch}, the best by ${best.metric} of ${
          best.keptBack === undefined ? best.part : `${countOf(best.keptBack, 'sample')} that the training kept back (--validation)`
        }: ${showMetric(best.metric, best.value)}`,
      )
    const part = options['part'] as 'test' | 'train' | 'validation' | undefined
    const data = await netData(bundle, {
      option: options['data'] as string | undefined,
      skipBroken: options['skipBroken'] === true,
      limit: options['limit'] as number | undefined,
      seed: bundle.manifest.train?.seed ?? 1,
      inputs,
      use: { part, shuffled: stats === 'batch' },
    }, screen)
    const which = part ?? 'test'
    const samples = data[which]!
    return withDevice(deviceOf(options, args[0]!, bundle), screen, async (device) => {
      const { open } = await import('../../runtime/index.ts')
      const batch = Math.min(samples.length, (options['batch'] as number | undefined) ?? bundle.manifest.train?.batch ?? 100)
      const net = await open(bundle, {
        device,
        batch,
        programs,
        storage: options['storage'] as Storage,
      })
      try {
        const startedAt = performance.now()
        const bar = progress(screen, 'eval', samples.length)
        const result = await net.evaluate(samples, { stats, perClass, onProgress: (done) => bar.update(done, done) })
        bar.stop()
        for (const note of result.notes ?? []) screen.note(note)
        const seconds = (performance.now() - startedAt) / 1000
        screen.print(
          `${data.name}${part ? `, ${part}` : ''}: ${countOf(result.count, 'sample')} on ${device.name}, ${
            Math.round(result.count / Math.max(seconds, 1e-3))
          } samples/s`,
        )
        screen.table(['name', 'value'], Object.entries(result.metrics).map(([name, value]) => [name, showMetric(name, value)]), [1])
        for (const found of result.perClass ?? []) showClasses(found, screen)
        screen.result({
          data: data.name,
          part: which,
          stats,
          device: device.name,
          adapter: device.description,
          seconds,
          ...(best && { best }),
          ...(data.classes && { classes: data.classes }),
          ...(data.notes.length > 0 && { notes: data.notes }),
          ...result,
        })
        return EXIT.done
      } finally {
        net.close()
      }
    })
  },
}
