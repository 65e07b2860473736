import { dirname } from 'node:path'
import type { Dataset } from '../../runtime/data/dataset.ts'
import type { Device } from '../../bundle/device.ts'
import { sha256Of } from '../../bundle/digest.ts'
import type { Evaluation } from '../../runtime/evaluate-options.ts'
import type { BestEntry, Bundle, DurationEntry } from '../../bundle/format.ts'
import { OtherTrainingError } from '../../runtime/identity.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { writeBundle } from '../../runtime/node.ts'
import { trainingProgram } from '../../bundle/programs.ts'
import { inSteps, isDue } from '../../bundle/learning-rate.ts'
import { NothingLeftError, type TrainEvent } from '../../runtime/train-options.ts'
import { untouchedStatistics } from '../../runtime/stored-statistics.ts'
import { showMetric, showMetrics } from '../metrics.ts'
import { type Progress, progress, sayLoss } from '../progress.ts'
import { type Screen, showDuration } from '../screen.ts'
import { Endings } from './endings.ts'
import type { Ended, Job, Result } from './job.ts'
import { Keeper } from './keeper.ts'
import { otherData } from './resume.ts'
import { stepOfFile } from './snapshots.ts'
import { Watch } from './watch.ts'
import { countOf } from '../../bundle/plain.ts'

/** One training from its first update, or its snapshot, to the test at the end. `first`: of several seeds, the one that is written. */
export async function trainOnce(job: Job, seed: number, device: Device, screen: Screen, first: boolean): Promise<Result | Ended> {
  const { openLocal } = await import('../../runtime/open.ts')
  const { bundle, resumed } = job
  const training = (['train', 'accumulate'] as const).map((task) => trainingProgram(bundle.manifest, task, job.choices.stats))
  const net = await openLocal(bundle, {
    device,
    batch: job.choices.batch,
    seed,
    programs: [...training, 'eval'].filter((name) => hasProgram(bundle, name)),
  })
  let keeper: Keeper | undefined
  let endings: Endings | undefined
  try {
    // Each of several seeds can go on by itself, without taking the place of the first.
    const output = first ? job.output : `${job.output}-seed${seed}`
    const choices = { ...job.choices, output, ...(!first && { seed, dataSeed: job.dataSeed }) }
    const watch = job.measure && new Watch(job.measure, measuredOn(job), choices.patience, resumed?.snapshot.about?.['watch'])
    const settings = { keep: job.keep, keepGoing: job.keepGoing, ...(watch && { watch }) }
    keeper = job.run !== undefined && resumed ? await Keeper.resume(job.run, resumed.path, choices, settings)
      : await Keeper.begin(job.place, seed, sha256Of(new TextEncoder().encode(JSON.stringify([net.identity, choices]))), choices, settings)
    endings = new Endings(screen, net, keeper, ['fusenet', 'train', job.file, ...job.again], output)
    if (resumed) {
      await net.restore(resumed.snapshot)
      await keeper.bring(dirname(resumed.path))
    }
    if (job.choices.stats === 'global' && !screen.json) {
      const untouched = untouchedStatistics(await net.parameters())
      if (untouched.length > 0)
        screen.note(
          `stored statistics were never made, so nothing is normalized (mean 0, variance 1): ${untouched.slice(0, 4).join(', ')}${
            untouched.length > 4 ? ` and ${untouched.length - 4} more` : ''
          }; train with --stats batch first, or start from --weights`,
        )
    }
    const trained = await update(net, { ...job, watch }, seed, screen, keeper, endings)
    if ('exitCode' in trained) return trained
    const chosen = watch?.best
    if (chosen) await takeBest(net, chosen, keeper, endings, screen)
    else if (watch)
      screen.note(`no test on the way gave a number for ${watch.measure.metric}, so none was the best: the last weights are taken`)
    if (first) {
      await endings.keepIfFails(() =>
        net.save().then((saved) => writeBundle(chosen ? { ...saved, manifest: { ...saved.manifest, best: chosen } } : saved, job.output))
      )
      screen.print(`wrote ${job.output}${chosen ? `, with the weights of epoch ${chosen.epoch}` : ''}`)
    }
    const { best } = keeper
    if (!watch && best && best.path !== keeper.last && job.keep > 0 && !screen.json)
      screen.note(`best snapshot: ${best.path}, ${best.score.name} ${showMetric(best.score.name, best.score.value)}`)
    const bar = progress(screen, 'test', job.data.test.length)
    const test = await testing(net, job.data.test, endings, (done) => bar.update(done, done)).finally(() => bar.stop())
    if (test === 'ended') return endings.afterTraining()
    screen.event({ event: 'test', step: net.steps, ...test })
    screen.print(`${screen.colors.bold('test')} on ${countOf(test.count, 'sample')}: ${showMetrics(test)}`)
    await keeper.finish()
    return { seed, steps: net.steps, ...trained, ...(chosen && { best: chosen }), test }
  } finally {
    endings?.close()
    await keeper?.close()
    net.close()
  }
}

/** The samples that choose the best weights. */
function measuredOn({ data: { validation }, choices }: Job): Pick<BestEntry, 'part' | 'keptBack'> {
  return {
    part: validation ? 'validation' : 'test',
    ...(validation && choices.validation !== undefined && { keptBack: validation.length }),
  }
}

/** Sets the weights that were the best by a test on the way. */
async function takeBest(
  net: LocalNet,
  { metric, part, value, step, epoch }: BestEntry,
  keeper: Keeper,
  endings: Endings,
  screen: Screen,
): Promise<void> {
  screen.event({ event: 'best', metric, part, value, step, epoch })
  if (!screen.json)
    screen.note(
      `best ${metric} of ${part}: ${showMetric(metric, value)}, after epoch ${epoch} (step ${step})${
        step === net.steps ? '' : '; its weights are taken'
      }`,
    )
  if (step !== net.steps) await endings.keepIfFails(async () => net.setParameters(await keeper.bestWeights()))
}

/** All updates, with the tests and snapshots that the file wants on the way. Whatever ends it early, what was computed is kept first. */
async function update(
  net: LocalNet,
  job: Job & { readonly watch?: Watch | undefined },
  seed: number,
  screen: Screen,
  keeper: Keeper,
  endings: Endings,
): Promise<Pick<Result, 'loss' | 'seconds'> | Ended> {
  const { bundle: { manifest }, data, choices, watch } = job
  const part = data.validation ? 'validation' : 'test'
  const samples = data.train
  const perStep = net.batch * manifest.train!.accumulate
  const startedWith = net.steps
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1000
  screen.event({
    event: 'start',
    net: manifest.name,
    style: manifest.style,
    device: net.device.name,
    adapter: net.device.description,
    seed,
    batch: net.batch,
    samples: samples.length,
    step: net.steps,
    data: data.name,
    ...(data.classes && { classes: data.classes }),
    notes: data.notes,
    snapshots: keeper.folder,
    bundle: job.output,
  })
  if (!screen.json)
    screen.note(
      `${manifest.name} (${manifest.style}) on ${data.name}: ${countOf(samples.length, 'sample')}, batch ${net.batch}, seed ${seed}${
        net.steps > 0 ? `, from step ${net.steps}` : ''
      }`,
    )

  const { epochs, steps: wanted } = manifest.train!
  if (!screen.json && [epochs, wanted, choices.epochs, choices.steps].every((length) => length === undefined))
    screen.note('the file does not say how long: one epoch (epochs or steps in its train block, or --epochs, --steps)')

  let loss: number | undefined
  let bar: Progress | undefined
  let left = 0
  let last: TrainEvent | undefined
  /** Updates run ahead of what is told of them, up to the next test at most: one that is left out by an end now is done first when it goes on. */
  const markTest = (): void => {
    if (watch && last && last.step < net.steps && isTestDue(net, last, manifest.train!.test)) watch.pending = true
  }
  /** Tests on the way; tells whether it was the best so far. What ends the training ends it, and it is done when that goes on. */
  const test = async (epoch: number): Promise<{ readonly test: Evaluation; readonly best: boolean } | 'ended'> => {
    if (watch) watch.pending = true
    const found = await testing(net, data.validation ?? data.test, endings)
    if (found === 'ended') return found
    const best = watch?.take(found, net.steps, epoch) === true
    const say = `step ${net.steps}: ${part} ${showMetrics(found)}${
      best ? ', the best so far' : watch && watch.since > 0 ? `, no better for ${watch.since} test${watch.since > 1 ? 's' : ''}` : ''
    }`
    bar ? bar.line(say) : !screen.json && screen.note(say)
    screen.event({ event: 'test', step: net.steps, part, ...(watch && { best }), ...found })
    return { test: found, best }
  }
  try {
    // It was stopped while it was tested: that comes first.
    if (watch?.pending) {
      const tested = await test(epochAfter(net, samples.length, perStep))
      if (tested !== 'ended' && tested.best) await keeper.write(net, tested.test)
    }
    const events = watch?.pending || watch?.over ? []
      : net.train(samples, { epochs: choices.epochs, steps: choices.steps, stats: choices.stats, total: true, keepGoing: job.keepGoing })
    for await (const event of events) {
      last = event
      loss = event.loss
      left = event.steps - event.step
      bar ??= progress(screen, 'train', event.steps)
      bar.update(
        event.step,
        (event.step - startedWith) * perStep,
        `epoch ${event.epoch + 1}/${Math.ceil(event.steps / event.stepsPerEpoch)}  ${sayLoss(loss)}`,
      )
      screen.event({ event: 'step', step: event.step, epoch: event.epoch, loss, rate: event.rate })
      // Who keeps samples back for tests, or chooses among them, has one after each epoch, if the file does not say when, and one at the end.
      const tests = watch !== undefined || choices.validation !== undefined
      const due = event.testDue || (tests && ((!manifest.train!.test && event.epochEnd) || left === 0))
      const tested = due && (tests || left > 0) ? await test(event.epoch + 1) : undefined
      if (tested === 'ended') break
      if (event.snapshotDue || tested?.best) {
        const path = await keeper.write(net, tested?.test)
        if (event.snapshotDue) bar.line(`step ${event.step}: snapshot ${path}`)
        screen.event({ event: 'snapshot', step: event.step, path })
      }
      if (watch?.over && left > 0) break
      if ((endings.why && left > 0) || seconds() > job.mostSeconds) break
    }
    bar?.stop()
    if (watch?.over && !endings.why) {
      // Whoever has more patience goes on from here.
      if (left > 0) await keeper.write(net)
      screen.event({ event: 'patience', step: net.steps, tests: watch.since })
      if (!screen.json)
        screen.note(
          `ended after step ${net.steps}: ${watch.measure.metric} of ${watch.on.part} was no better for ${watch.since} test${
            watch.since > 1 ? 's' : ''
          } (--patience ${choices.patience})`,
        )
    } else if (left > 0 || watch?.pending) {
      markTest()
      const stopped = await endings.stopped(left)
      if (stopped) return stopped
    }
  } catch (error) {
    bar?.stop()
    if (error instanceof NothingLeftError) {
      screen.event({ event: 'complete', step: net.steps })
      if (!screen.json)
        screen.note(
          `nothing is left to do: this training is complete after ${countOf(net.steps, 'update')}; --epochs or --steps makes it longer`,
        )
      return { seconds: 0 }
    }
    if (error instanceof OtherTrainingError && job.resumed) throw otherData(job.resumed.path, data.name, error.contradictions)
    markTest()
    if (net.steps > startedWith) await endings.failed(error)
    throw error
  }
  if (net.steps > startedWith && stepOfFile(keeper.last ?? '') !== net.steps && job.keep > 0) await keepEnd(net, keeper, screen)
  const steps = net.steps - startedWith
  if (!screen.json)
    screen.note(
      `${countOf(steps, 'step')} in ${showDuration(seconds())}, ${Math.round((steps * perStep) / Math.max(seconds(), 1e-3))} samples/s`,
    )
  return { loss, seconds: seconds() }
}

/** A training that ended can be made longer: its last state is kept as well. That it cannot be is no reason to lose what was trained. */
async function keepEnd(net: LocalNet, keeper: Keeper, screen: Screen): Promise<void> {
  try {
    const path = await keeper.write(net)
    screen.event({ event: 'snapshot', step: net.steps, path })
    if (!screen.json) screen.note(`snapshot ${path}: --resume makes this training longer, with --epochs or --steps`)
  } catch (error) {
    screen.note(`no snapshot was made of the end, from which it could be made longer: ${(error as Error).message}`)
  }
}

/** The epoch, from 1, that the last update belonged to. */
function epochAfter(net: LocalNet, samples: number, perStep: number): number {
  const done = net.steps - (net.identity.data?.from ?? 0)
  return Math.max(1, Math.ceil(done / Math.max(1, Math.floor(samples / perStep))))
}

/** Whether a test is due after the update that a net is at: as the file says, else after each epoch; and at the end. */
function isTestDue(net: LocalNet, { steps, stepsPerEpoch }: TrainEvent, test: DurationEntry | undefined): boolean {
  const horizon = { stepsPerEpoch, totalSteps: steps }
  return net.steps === steps ||
    (test ? isDue(net.steps, inSteps(test, horizon)) : (net.steps - (net.identity.data?.from ?? 0)) % stepsPerEpoch === 0)
}

/** Tests the net as it is now. A request to end the training takes effect at the next batch. */
async function testing(
  net: LocalNet,
  samples: Dataset,
  endings: Endings,
  onProgress?: (done: number) => void,
): Promise<Evaluation | 'ended'> {
  const ended = new Error('ended')
  try {
    return await net.evaluate(samples, {
      onProgress(done) {
        if (endings.why) throw ended
        onProgress?.(done)
      },
    })
  } catch (error) {
    if (error === ended) return 'ended'
    throw error
  }
}

const hasProgram = (bundle: Bundle, name: string): boolean =>
  Object.values(bundle.manifest.plans).some((plan) => plan.programs[name] !== undefined)
