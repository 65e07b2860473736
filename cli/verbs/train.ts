import { Option } from 'commander'
import { InputError } from '../../runtime/errors.ts'
import type { Evaluation } from '../../runtime/evaluate.ts'
import type { Bundle } from '../../runtime/format.ts'
import { part } from '../../runtime/data/dataset.ts'
import type { Device } from '../../runtime/device.ts'
import type { Net } from '../../runtime/net.ts'
import { writeBundle } from '../../runtime/node.ts'
import { checkBundlePlace, loadBundle, netOptions } from '../bundles.ts'
import { type NetData, netData } from '../datasets.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT, UsageError } from '../exit.ts'
import { device, memory, positiveInteger, positiveNumber, style, tuned, weights, wholeNumber } from '../options.ts'
import { type Progress, progress, sayLoss } from '../progress.ts'
import { showMetric, showMetrics, spreadOf } from '../metrics.ts'
import { type Screen, showDuration } from '../screen.ts'
import { readSnapshot, type TrainChoices, writeSnapshot } from '../snapshots.ts'
import type { Verb } from '../verb.ts'

export const train: Verb = {
  name: 'train',
  summary: 'train a net, test it, write a bundle with its weights',
  describe(command) {
    device(tuned(weights(memory(style(command.argument('<file.net>', 'a program, or a bundle to go on with')))))
      .option('--data <data>', 'mnist, fashion_mnist, cifar10, or a folder (idx:DIR, cifar10:DIR, images:DIR); default: the file\'s')
      .addOption(new Option('--epochs <n>', 'how often the data are seen; default: the file\'s').argParser(positiveInteger).conflicts('steps'))
      .option('--steps <n>', 'updates in all', positiveInteger)
      .option('--seed <n>', 'of initial parameters, order and dropout; default: the file\'s', wholeNumber)
      .option('--seeds <k>', 'train k times with successive seeds; mean and deviation are told', positiveInteger)
      .option('--batch <n>', 'samples an update; default: the file\'s', positiveInteger)
      .option('--limit <n>', 'use the first n training samples alone', positiveInteger)
      .option('--minutes <m>', 'train no longer than this, then test and write as usual', positiveNumber)
      .option('-o, --output <bundle>', 'write the trained bundle (with --seeds, of the first seed)')
      .option('--resume <dir>', 'go on from the newest snapshot there')
      .option('--snapshot-dir <dir>', 'where snapshots go; default: NAME.snapshots'))
  },
  async run({ args, options, screen }) {
    const file = args[0]!
    const seeds = (options['seeds'] as number | undefined) ?? 1
    const resumeFrom = options['resume'] as string | undefined
    if (resumeFrom !== undefined && seeds > 1) throw new UsageError('--resume goes on with one training, --seeds starts several')
    const resumed = resumeFrom === undefined ? undefined : await readSnapshot(resumeFrom)
    const given = Object.fromEntries(['data', 'batch', 'limit', 'epochs', 'steps', 'style', 'memory']
      .filter((name) => options[name] !== undefined).map((name) => [name, options[name]])) as TrainChoices
    // A new length replaces the old one, in whichever unit it was told.
    const { epochs, steps, ...kept } = resumed?.choices ?? {}
    const choices: TrainChoices = { ...kept, ...(given.epochs === undefined && given.steps === undefined && { epochs, steps }), ...given }

    const output = options['output'] as string | undefined
    if (output !== undefined) await checkBundlePlace(output)
    const bundle = await loadBundle(file, { ...await netOptions(options, screen), style: choices.style, memory: choices.memory })
    const lossless = !bundle.manifest.outputs.some((output) => output.role === 'loss')
    if (lossless) throw new InputError(`${file} has no loss, so there is nothing to train`)
    if (!bundle.manifest.train) throw new InputError(`${file} has no train block: write at least \`train { solver sgd(lr: 0.05, momentum: 0.9) }\``)
    const data = await netData(bundle, choices.data, screen)
    const job: Job = {
      file, bundle, data, choices, resumed, output,
      mostSeconds: 60 * ((options['minutes'] as number | undefined) ?? Infinity),
      snapshots: (options['snapshotDir'] as string | undefined) ?? resumeFrom ?? `${output ?? bundle.manifest.name}.snapshots`,
    }
    const firstSeed = (options['seed'] as number | undefined) ?? resumed?.snapshot.seed ?? bundle.manifest.train.seed

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

interface Job {
  readonly file: string
  readonly bundle: Bundle
  readonly data: NetData
  readonly choices: TrainChoices
  readonly resumed?: Awaited<ReturnType<typeof readSnapshot>>
  readonly output?: string
  readonly mostSeconds: number
  readonly snapshots: string
}

interface Result {
  readonly seed: number
  readonly steps: number
  readonly seconds: number
  /** Of the last update. */
  readonly loss: number
  readonly test: Evaluation
}

async function trainOnce(job: Job, seed: number, device: Device, screen: Screen, first: boolean): Promise<Result | 'interrupted'> {
  const { open } = await import('../../runtime/index.ts')
  const { bundle } = job
  const net = await open(bundle, { device, batch: job.choices.batch, seed, programs: ['train', 'accumulate', 'eval'].filter((name) => hasProgram(bundle, name)) })
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
    const test = await testing(net, job, interrupt, (done) => bar.update(done, done)).finally(() => bar.stop())
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

interface Interrupt {
  count: number
}

/** All updates, with the tests and snapshots that the file wants on the way. */
async function update(net: Net, job: Job, seed: number, screen: Screen, interrupt: Interrupt): Promise<Pick<Result, 'loss' | 'seconds'> | 'interrupted'> {
  const { bundle: { manifest }, data, choices } = job
  const samples = choices.limit === undefined ? data.train : part(data.train, 0, choices.limit)
  const perStep = net.batch * manifest.train!.accumulate
  const startedWith = net.steps
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1000
  screen.event({ event: 'start', net: manifest.name, style: manifest.style, device: net.device.name, adapter: net.device.description, seed, batch: net.batch, samples: samples.length, step: net.steps })
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
    for await (const event of net.train(samples, { epochs: choices.epochs, steps: choices.steps })) {
      loss = event.loss
      const more = event.step < event.steps
      bar ??= progress(screen, 'train', event.steps)
      bar.update(event.step, (event.step - startedWith) * perStep, `epoch ${event.epoch + 1}/${Math.ceil(event.steps / event.stepsPerEpoch)}  ${sayLoss(loss)}`)
      screen.event({ event: 'step', step: event.step, epoch: event.epoch, loss, rate: event.rate })
      if (event.testDue && more) {
        const test = await testing(net, job, interrupt)
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

/** The test set as it is now; Ctrl-C ends it at the next batch. */
async function testing(net: Net, job: Job, interrupt: Interrupt, onProgress?: (done: number) => void): Promise<Evaluation | 'interrupted'> {
  const interrupted = new Error('interrupted')
  try {
    return await net.evaluate(job.data.test, {
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
