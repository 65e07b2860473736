import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import type { WeightsMatch } from '../../runtime/match-weights.ts'
import { trainingProgram } from '../../bundle/programs.ts'
import { tryFolder } from '../../runtime/loading/node/files.ts'
import { type Lock, takeLock } from '../../runtime/loading/node/lock.ts'
import { checkBundlePlace } from '../outputs.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { netData } from '../datasets.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { kindOf } from '../files.ts'
import { neededInputs } from '../needed.ts'
import { showMetric, spreadOf } from '../metrics.ts'
import { matchReport } from '../match-table.ts'
import type { Screen } from '../screen.ts'
import { endAtOnce, held } from '../training/endings.ts'
import type { Job, Result } from '../training/job.ts'
import { describeTrain, trainOptions } from '../training/options.ts'
import { checkText, goOn } from '../training/resume.ts'
import { trainOnce } from '../training/run.ts'
import { findSnapshot, type Found } from '../training/snapshots.ts'
import { torchOptions } from '../training/torch/options.ts'
import { measureOf } from '../training/watch.ts'
import type { Verb } from '../verb.ts'

export const train: Verb = {
  name: 'train',
  summary: 'train a net, test it, write a bundle with its weights',
  describe: describeTrain,
  async run({ args, options, screen }) {
    const file = args[0]!
    const torch = torchOptions(options)
    if (torch) return (await import('../training/torch/train-on-torch.ts')).trainOnTorch(file, options, torch, screen)
    const { choices: given, seeds, mostSeconds, resume, snapshotDir, keep, keepGoing, again } = trainOptions(options)
    const resumed = resume === undefined ? undefined : await findSnapshot(resume)
    if (resumed) sayFound(resumed, screen)
    const chosen = resumed ? goOn(resumed, given) : given

    if (chosen.output !== undefined) await checkBundlePlace(chosen.output)
    const net = await netOptions(options, screen)
    const partial = net.partial && {
      ...net.partial,
      told: (match: WeightsMatch, from: string): void => {
        net.partial!.told(match, from)
        screen.event({ event: 'weights', file: from, ...matchReport(match) })
      },
    }
    const bundle = await loadBundle(file, {
      ...net,
      partial,
      style: chosen.style,
      memory: chosen.memory,
      ...(chosen.precise && { precise: true }),
      freeze: chosen.freeze,
      batch: chosen.batch,
      ...(chosen.stats === 'global' && { programs: ['train/global'] }),
    })
    const { manifest } = bundle
    const lossless = !manifest.outputs.some((output) => output.role === 'loss')
    if (lossless) throw new InputError(`${file} has no loss, so there is nothing to train`)
    if (!manifest.train)
      throw new InputError(`${file} has no train block: write at least \`train { batch 32  solver sgd(lr: 0.05, momentum: 0.9) }\``)
    if (resumed) checkText(file, manifest, resumed, chosen)
    const measure = measureOf(manifest, chosen)
    const choices = measure ? { ...chosen, best: `${measure.metric}:${measure.better}` } : chosen

    if (!screen.json) sayFrozen(bundle, resumed !== undefined, screen)

    // Places are tried before the work that ends in them.
    const output = choices.output ?? `out/${manifest.name}`
    if (choices.output === undefined) {
      await checkBundlePlace(output)
      if (!screen.json)
        screen.note(
          `the bundle goes to ${output}${
            await kindOf(output) === undefined ? '' : ', in place of the one that is there'
          } (-o names another place)`,
        )
    }
    const run = snapshotDir === undefined ? resumed?.run : undefined
    const place = snapshotDir ?? resumed?.place ?? `${output}.snapshots`
    await tryFolder(run ?? place)
    // A training that fails leaves no empty folder above its place.
    const above = await kindOf(dirname(output)) === undefined ? dirname(output) : undefined
    const unlisten = endAtOnce(screen, () => {
      if (above !== undefined && existsSync(above) && readdirSync(above).length === 0) rmdirSync(above)
    })
    let lock: Lock | undefined
    try {
      lock = held(await takeLock(`${output}.lock`), output)
      const firstSeed = resumed?.snapshot.seed ?? choices.seed ?? manifest.train.seed
      const dataSeed = choices.dataSeed ?? firstSeed
      const data = await netData(bundle, {
        option: choices.data,
        testData: choices.testData,
        skipBroken: choices.skipBroken,
        limit: choices.limit,
        validation: choices.validation,
        seed: dataSeed,
        inputs: neededInputs(bundle, trainingProgram(manifest, 'train', choices.stats)),
        use: 'train',
      }, screen)
      if (measure && !data.validation && !screen.json)
        screen.note(
          'the best weights are chosen by the test part, so what they reach there is too good: --validation 0.1 keeps samples back to choose by',
        )
      const job: Job = {
        file,
        bundle,
        data,
        choices,
        ...(measure && { measure }),
        dataSeed,
        resumed,
        output,
        mostSeconds,
        run,
        place,
        keep,
        keepGoing,
        again,
      }
      return await withDevice(deviceOf(options, file, bundle), screen, async (device) => {
        const results: Result[] = []
        for (let i = 0; i < seeds; i++) {
          const result = await trainOnce(job, firstSeed + i, device, screen, i === 0)
          if ('exitCode' in result) {
            if (i < seeds - 1 && !screen.json) screen.note(`seeds ${firstSeed + i + 1} to ${firstSeed + seeds - 1} are left`)
            return result.exitCode
          }
          results.push(result)
        }
        const spread = spreadOf(results.map((result) => result.test))
        if (seeds > 1) {
          screen.print(`over ${seeds} seeds:`)
          screen.table(
            ['test', 'mean', 'deviation'],
            Object.entries(spread).map(([name, { mean, deviation }]) => [name, showMetric(name, mean), showMetric(name, deviation)]),
            [1, 2],
          )
        }
        screen.event({ event: 'done', device: device.name, runs: results, ...(seeds > 1 && { spread }), bundle: output })
        return EXIT.done
      })
    } finally {
      unlisten()
      await lock?.release()
      if (above !== undefined) await rmdir(above).catch(() => {})
    }
  },
}

/** Tells which parameters do not learn, and that this makes sense for trained parameters only. */
function sayFrozen({ manifest, weights }: Bundle, resumes: boolean, screen: Screen): void {
  const names = manifest.parameters.filter((p) => p.frozen).map(({ name }) => name)
  if (names.length === 0) return
  const left = manifest.parameters.filter((p) => p.trainable).length
  screen.note(`${names.length} of ${manifest.parameters.length} parameters are frozen (${manifest.freeze?.join(', ')}), ${left} learn`)
  if (!weights && !resumes) screen.note('the frozen ones are initial values: --weights brings trained ones')
}

/** Tells which of several snapshots was chosen. */
function sayFound({ path, run, runs, damaged, snapshot }: Found, screen: Screen): void {
  for (const why of damaged) screen.note(`${why}: passed over`)
  if (damaged.length > 0) screen.note(`goes on from ${path}, step ${snapshot.step}`)
  else if (runs > 1 && !screen.json) screen.note(`of ${runs} trainings the one that went on last: ${basename(run!)}`)
}
