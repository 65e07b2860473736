import type { Dataset } from '../../runtime/data/dataset.ts'
import type { Device } from '../../runtime/device.ts'
import type { Evaluation } from '../../runtime/evaluate.ts'
import type { Bundle } from '../../runtime/format.ts'
import type { Net } from '../../runtime/net.ts'
import { writeBundle } from '../../runtime/node.ts'
import { trainingProgram } from '../../runtime/programs.ts'
import { EXIT } from '../exit.ts'
import { showMetrics } from '../metrics.ts'
import { type Progress, progress, sayLoss } from '../progress.ts'
import { type Screen, showDuration } from '../screen.ts'
import type { Interrupt, Job, Result } from './job.ts'
import { writeSnapshot } from './snapshots.ts'

/** One training from its first update, or its snapshot, to the test at the end. `first`: of several seeds, the one that is written. */
export async function trainOnce(job: Job, seed: number, device: Device, screen: Screen, first: boolean): Promise<Result | 'interrupted'> {
  const { open } = await import('../../runtime/index.ts')
  const { bundle } = job
  const training = (['train', 'accumulate'] as const).map((task) => trainingProgram(bundle.manifest, task, job.choices.stats))
  const net = await open(bundle, { device, batch: job.choices.batch, seed, programs: [...training, 'eval'].filter((name) => hasProgram(bundle, name)) })
  const interrupt = { count: 0 }
  const unlisten = screen.terminal.onInterrupt(() => {
    // Whoever presses it twice does not want to wait for a snapshot.
    if (++interrupt.count > 1) process.exit(EXIT.interrupted)
  })
  try {
    if (job.resumed) await net.restore(job.resumed.snapshot)
    const trained = await update(net, job, seed, screen, interrupt)
    if (trained === 'interrupted') return trained
    if (job.output !== undefined && first) {
      await writeBundle(await net.save(), job.output)
      screen.print(`wrote ${job.output}`)
    }
    const bar = progress(screen, 'test', job.data.test.length)
    const test = await testing(net, job.data.test, interrupt, (done) => bar.update(done, done)).finally(() => bar.stop())
    if (test === 'interrupted') {
      screen.event({ event: 'interrupted', step: net.steps })
      if (!screen.json) screen.note('interrupted while it was tested: the training was complete')
      return test
    }
    screen.event({ event: 'test', step: net.steps, ...test })
    screen.print(`${screen.colors.bold('test')} on ${test.count} samples: ${showMetrics(test)}`)
    return { seed, steps: net.steps, ...trained, test }
  } finally {
    unlisten()
    net.close()
  }
}

/** All updates, with the tests and snapshots that the file wants on the way. */
async function update(net: Net, job: Job, seed: number, screen: Screen, interrupt: Interrupt): Promise<Pick<Result, 'loss' | 'seconds'> | 'interrupted'> {
  const { bundle: { manifest }, data, choices } = job
  const samples = data.train
  const perStep = net.batch * manifest.train!.accumulate
  const startedWith = net.steps
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1000
  screen.event({ event: 'start', net: manifest.name, style: manifest.style, device: net.device.name, adapter: net.device.description, seed, batch: net.batch, samples: samples.length, step: net.steps, data: data.name, ...(data.classes && { classes: data.classes }), notes: data.notes })
  if (!screen.json) screen.note(`${manifest.name} (${manifest.style}) on ${data.name}: ${samples.length} samples, batch ${net.batch}, seed ${seed}${net.steps > 0 ? `, from step ${net.steps}` : ''}`)

  let loss = NaN
  let bar: Progress | undefined
  const stopped = async (): Promise<'interrupted'> => {
    bar?.stop()
    const path = await writeSnapshot(job.snapshots, net, choices)
    const resume = `fusenet train ${job.file} --resume ${job.snapshots}${job.output === undefined ? '' : ` -o ${job.output}`}`
    screen.event({ event: 'interrupted', step: net.steps, path, resume })
    if (!screen.json) screen.note(`interrupted at step ${net.steps}, snapshot ${path}\nresume by: ${resume}`)
    return 'interrupted'
  }
  try {
    for await (const event of net.train(samples, { epochs: choices.epochs, steps: choices.steps, stats: choices.stats, total: true })) {
      loss = event.loss
      const more = event.step < event.steps
      bar ??= progress(screen, 'train', event.steps)
      bar.update(event.step, (event.step - startedWith) * perStep, `epoch ${event.epoch + 1}/${Math.ceil(event.steps / event.stepsPerEpoch)}  ${sayLoss(loss)}`)
      screen.event({ event: 'step', step: event.step, epoch: event.epoch, loss, rate: event.rate })
      if (event.testDue && more) {
        const test = await testing(net, data.validation ?? data.test, interrupt)
        if (test === 'interrupted') return await stopped()
        bar.line(`step ${event.step}: test ${showMetrics(test)}`)
        screen.event({ event: 'test', step: event.step, ...test })
      }
      if (event.snapshotDue) {
        const path = await writeSnapshot(job.snapshots, net, choices)
        bar.line(`step ${event.step}: snapshot ${path}`)
        screen.event({ event: 'snapshot', step: event.step, path })
      }
      if (interrupt.count > 0 && more) return await stopped()
      if (seconds() > job.mostSeconds) break
    }
  } finally {
    bar?.stop()
  }
  const steps = net.steps - startedWith
  if (!screen.json) screen.note(`${steps} steps in ${showDuration(seconds())}, ${Math.round((steps * perStep) / Math.max(seconds(), 1e-3))} images/s`)
  return { loss, seconds: seconds() }
}

/** How good the net is as it is now; Ctrl-C ends it at the next batch. */
async function testing(net: Net, samples: Dataset, interrupt: Interrupt, onProgress?: (done: number) => void): Promise<Evaluation | 'interrupted'> {
  const interrupted = new Error('interrupted')
  try {
    return await net.evaluate(samples, {
      onProgress(done) {
        if (interrupt.count > 0) throw interrupted
        onProgress?.(done)
      },
    })
  } catch (error) {
    if (error === interrupted) return 'interrupted'
    throw error
  }
}

const hasProgram = (bundle: Bundle, name: string): boolean => Object.values(bundle.manifest.plans).some((plan) => plan.programs[name] !== undefined)
