import type { Dataset } from '../../runtime/data/dataset.ts'
import type { Device } from '../../runtime/device.ts'
import { sha256Of } from '../../runtime/digest.ts'
import type { Evaluation } from '../../runtime/evaluate.ts'
import type { Bundle } from '../../runtime/format.ts'
import { OtherTrainingError } from '../../runtime/identity.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { writeBundle } from '../../runtime/node.ts'
import { trainingProgram } from '../../runtime/programs.ts'
import { NothingLeftError } from '../../runtime/train.ts'
import { showMetric, showMetrics } from '../metrics.ts'
import { type Progress, progress, sayLoss } from '../progress.ts'
import { type Screen, showDuration } from '../screen.ts'
import { Endings } from './endings.ts'
import type { Ended, Job, Result } from './job.ts'
import { Keeper } from './keeper.ts'
import { otherData } from './resume.ts'

/** One training from its first update, or its snapshot, to the test at the end. `first`: of several seeds, the one that is written. */
export async function trainOnce(job: Job, seed: number, device: Device, screen: Screen, first: boolean): Promise<Result | Ended> {
  const { openLocal } = await import('../../runtime/open.ts')
  const { bundle, resumed } = job
  const training = (['train', 'accumulate'] as const).map((task) => trainingProgram(bundle.manifest, task, job.choices.stats))
  const net = await openLocal(bundle, { device, batch: job.choices.batch, seed, programs: [...training, 'eval'].filter((name) => hasProgram(bundle, name)) })
  let keeper: Keeper | undefined
  let endings: Endings | undefined
  try {
    // Of several seeds each can go on by itself, without taking the place of the first.
    const output = first ? job.output : `${job.output}-seed${seed}`
    const choices = { ...job.choices, output, ...(!first && { seed, dataSeed: job.dataSeed }) }
    keeper = job.run !== undefined && resumed ? await Keeper.resume(job.run, resumed.path, choices, job)
      : await Keeper.begin(job.place, seed, sha256Of(new TextEncoder().encode(JSON.stringify([net.identity, choices]))), choices, job)
    endings = new Endings(screen, net, keeper, ['fusenet', 'train', job.file, ...job.again], output)
    if (resumed) await net.restore(resumed.snapshot)
    const trained = await update(net, job, seed, screen, keeper, endings)
    if ('exitCode' in trained) return trained
    if (first) {
      await endings.keepIfFails(() => net.save().then((saved) => writeBundle(saved, job.output)))
      screen.print(`wrote ${job.output}`)
    }
    const { best } = keeper
    if (best && best.path !== keeper.last && !screen.json) screen.note(`best snapshot: ${best.path}, ${best.score.name} ${showMetric(best.score.name, best.score.value)}`)
    const bar = progress(screen, 'test', job.data.test.length)
    const test = await testing(net, job.data.test, endings, (done) => bar.update(done, done)).finally(() => bar.stop())
    if (test === 'ended') return endings.afterTraining()
    screen.event({ event: 'test', step: net.steps, ...test })
    screen.print(`${screen.colors.bold('test')} on ${test.count} samples: ${showMetrics(test)}`)
    return { seed, steps: net.steps, ...trained, test }
  } finally {
    endings?.close()
    await keeper?.close()
    net.close()
  }
}

/** All updates, with the tests and snapshots that the file wants on the way. Whatever ends it early, what was computed is kept first. */
async function update(net: LocalNet, job: Job, seed: number, screen: Screen, keeper: Keeper, endings: Endings): Promise<Pick<Result, 'loss' | 'seconds'> | Ended> {
  const { bundle: { manifest }, data, choices } = job
  const samples = data.train
  const perStep = net.batch * manifest.train!.accumulate
  const startedWith = net.steps
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1000
  screen.event({ event: 'start', net: manifest.name, style: manifest.style, device: net.device.name, adapter: net.device.description, seed, batch: net.batch, samples: samples.length, step: net.steps, data: data.name, ...(data.classes && { classes: data.classes }), notes: data.notes, snapshots: keeper.folder, bundle: job.output })
  if (!screen.json) screen.note(`${manifest.name} (${manifest.style}) on ${data.name}: ${samples.length} samples, batch ${net.batch}, seed ${seed}${net.steps > 0 ? `, from step ${net.steps}` : ''}`)

  let loss: number | undefined
  let bar: Progress | undefined
  let left = 0
  try {
    for await (const event of net.train(samples, { epochs: choices.epochs, steps: choices.steps, stats: choices.stats, total: true, keepGoing: job.keepGoing })) {
      loss = event.loss
      left = event.steps - event.step
      bar ??= progress(screen, 'train', event.steps)
      bar.update(event.step, (event.step - startedWith) * perStep, `epoch ${event.epoch + 1}/${Math.ceil(event.steps / event.stepsPerEpoch)}  ${sayLoss(loss)}`)
      screen.event({ event: 'step', step: event.step, epoch: event.epoch, loss, rate: event.rate })
      let test: Evaluation | undefined
      if (event.testDue && left > 0) {
        const tested = await testing(net, data.validation ?? data.test, endings)
        if (tested === 'ended') break
        test = tested
        bar.line(`step ${event.step}: test ${showMetrics(test)}`)
        screen.event({ event: 'test', step: event.step, ...test })
      }
      if (event.snapshotDue) {
        const path = await keeper.write(net, test)
        bar.line(`step ${event.step}: snapshot ${path}`)
        screen.event({ event: 'snapshot', step: event.step, path })
      }
      if ((endings.why && left > 0) || seconds() > job.mostSeconds) break
    }
    bar?.stop()
    if (left > 0) {
      const stopped = await endings.stopped(left)
      if (stopped) return stopped
    }
  } catch (error) {
    bar?.stop()
    if (error instanceof NothingLeftError) {
      screen.event({ event: 'complete', step: net.steps })
      if (!screen.json) screen.note(`nothing is left to do: this training is complete after ${net.steps} updates; --epochs or --steps makes it longer`)
      return { seconds: 0 }
    }
    if (error instanceof OtherTrainingError && job.resumed) throw otherData(job.resumed.path, data.name, error.contradictions)
    if (net.steps > startedWith) await endings.failed(error)
    throw error
  }
  const steps = net.steps - startedWith
  if (!screen.json) screen.note(`${steps} steps in ${showDuration(seconds())}, ${Math.round((steps * perStep) / Math.max(seconds(), 1e-3))} images/s`)
  return { loss, seconds: seconds() }
}

/** How good the net is as it is now; what ends the training ends it at the next batch. */
async function testing(net: LocalNet, samples: Dataset, endings: Endings, onProgress?: (done: number) => void): Promise<Evaluation | 'ended'> {
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

const hasProgram = (bundle: Bundle, name: string): boolean => Object.values(bundle.manifest.plans).some((plan) => plan.programs[name] !== undefined)
