import type { Dataset } from './data/dataset.ts'
import type { Device, Numbers, Precision } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import { type Bundle, type Manifest, NON_FINITE_RESULT, type Storage, type TensorData } from '../bundle/format.ts'
import { amount, checkOptions, flag, oneOf } from '../bundle/options.ts'
import { say } from '../bundle/plain.ts'
import { programFor, trainingProgram, type TrainStats } from '../bundle/programs.ts'
import { evaluateAll } from './evaluate.ts'
import type { EvaluateOptions, Evaluation } from './evaluate-options.ts'
import { Executor } from './executor.ts'
import type { Host } from './host-types.ts'
import type { TrainingIdentity } from '../bundle/training-identity.ts'
import type { Inputs, Net, Outputs, StepResult, TrainStep } from './net-api.ts'
import type { NetParts } from './net-parts.ts'
import type { AnyNet } from './net-spec.ts'
import { checkSnapshot, type Snapshot } from './snapshot.ts'
import { copyTensors, type Tensors } from './tensors.ts'
import { refuseNoStatistics } from './stored-statistics.ts'
import { trainLoop } from './train-loop.ts'
import type { TrainEvent, TrainOptions } from './train-options.ts'
import { Updates } from './updates.ts'

const TRAIN_STATS = oneOf('batch', 'global')

/** A net on this thread: `Net` says what its methods do. Options are checked here, the work is the executor's. */
export class LocalNet implements Net<AnyNet, Precision> {
  readonly manifest: Manifest
  readonly device: Device
  readonly batch: number
  readonly storage: Storage
  readonly notes: readonly string[]
  readonly #notes: string[]
  readonly #bundle: Bundle
  readonly #executor: Executor
  readonly #updates: Updates

  constructor(parts: NetParts) {
    const executor = new Executor(parts)
    this.manifest = executor.manifest
    this.device = executor.device
    this.batch = executor.batch
    this.storage = executor.storage
    this.notes = this.#notes = [...parts.notes]
    this.#bundle = parts.bundle
    this.#executor = executor
    this.#updates = new Updates(executor)
  }

  /** The executor of a net, for measuring, and for the worker thread that serves it. */
  static executorOf(net: LocalNet): Executor {
    return net.#executor
  }

  get steps(): number {
    return this.#executor.steps
  }

  get seed(): number {
    return this.#executor.seed
  }

  get classes(): readonly string[] | undefined {
    const label = this.manifest.inputs.find(({ classes }) => classes !== undefined)
    return label && this.classesOf(label.name)
  }

  classesOf(label: string): readonly string[] | undefined {
    return this.#executor.classes.of(label)
  }

  async run(inputs: Inputs, options: { readonly stats?: 'global' | 'batch' } = {}): Promise<Outputs<AnyNet, Precision>> {
    const { stats } = checkOptions('run', options, { stats: oneOf('global', 'batch') })
    const program = programFor(this.manifest, stats === 'batch' ? 'infer/batch' : 'infer')
    this.#executor.endings.idle()
    return toObject(await (await this.#executor.execute(program, inputs)).values)
  }

  async step(
    inputs: Inputs,
    options: { readonly update?: boolean; readonly rate?: number; readonly stats?: TrainStats } = {},
  ): Promise<StepResult<AnyNet, Precision>> {
    const { update = true, rate, stats } = checkOptions('step', options, { update: flag, rate: amount, stats: TRAIN_STATS })
    const taken = this.#executor.frozen.stats(stats)
    const program = trainingProgram(this.manifest, update ? 'step' : 'gradients', taken)
    const first = refuseNoStatistics(this.#executor, taken)
    const values = await (await this.#executor.execute(program, inputs, { rate, update, first })).values
    const outputs = new Map([...values].filter(([name]) => !/^(grad|count)\//.test(name)))
    const grads = new Map([...values].filter(([name]) => name.startsWith('grad/')).map(([name, v]) => [name.slice(5), v]))
    return {
      loss: this.#executor.lossOf(values),
      outputs: toObject(outputs),
      grads: toObject(grads),
      nonFinite: values.get(NON_FINITE_RESULT)?.[0] ?? 0,
    }
  }

  async trainStep(
    inputs: Inputs | readonly Inputs[],
    options: { readonly rate?: number; readonly stats?: TrainStats; readonly keepGoing?: boolean } = {},
  ): Promise<TrainStep> {
    return this.#updates.run(inputs, checkOptions('trainStep', options, { rate: amount, stats: TRAIN_STATS, keepGoing: flag }))
  }

  async freeze(patterns: readonly string[]): Promise<readonly string[]> {
    await this.#executor.setFrozen(this.#executor.frozen.match(patterns))
    return this.frozen
  }

  get frozen(): readonly string[] {
    return this.#executor.frozen.names
  }

  train(dataset: Dataset, options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
    return trainLoop(this.#executor, this.#updates, dataset, options)
  }

  evaluate(dataset: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
    this.#executor.endings.idle()
    return this.#executor.evaluation(() => evaluateAll(this.#executor, dataset, options))
  }

  rateAt(t: number): number {
    return this.#executor.rateAt(t)
  }

  parameters(): Promise<Map<string, TensorData>> {
    this.#executor.endings.idle()
    return this.#executor.enqueue(() => this.#executor.store.read())
  }

  async setParameters(values: Tensors, options: { readonly strict?: boolean } = {}): Promise<void> {
    const { strict } = checkOptions('setParameters', options, { strict: flag })
    const { store } = this.#executor
    const writes = store.fit(copyTensors(values, 'parameters', (name) => store.shapeOf(name)), 'parameter', { strict })
    await this.#executor.enqueue(() => this.#executor.write(writes), 'change')
  }

  async save(to?: string | Host<'URL'>): Promise<Bundle> {
    const saved = to === undefined ? undefined : await import('./on-demand.ts')
    saved?.checkTarget(to)
    const bundle = await this.#bundleOfNow()
    if (saved) await saved.saveTo(bundle, to!)
    return bundle
  }

  async #bundleOfNow(): Promise<Bundle> {
    const weights = new Map(
      [...await this.parameters()].map(([name, { shape, data }]) =>
        [name, { shape, type: 'f32', data: Float32Array.from(data as Float32Array) }] as const
      ),
    )
    const { files, manifest: { plans } } = await this.#executor.wholeBundle((error) => {
      const loaded = Object.keys(this.#executor.session.plan.programs).join(', ')
      this.#notes.push(`saved with the programs that were loaded alone (${loaded}): ${error.message}`)
    })
    // Weights that changed are no longer those that were chosen.
    const { best, ...rest } = this.manifest
    const { hasChanged, classes: { inputs } } = this.#executor
    return { files, manifest: { ...rest, ...(best && !hasChanged && { best }), plans, inputs }, weights }
  }

  get identity(): TrainingIdentity {
    return this.#executor.course.identity
  }

  snapshot(): Promise<Snapshot> {
    const { identity } = this
    const { store, updates } = this.#executor
    return this.#executor.enqueue(async () => ({ step: this.steps, seed: this.seed, tensors: await store.read(updates), identity }))
  }

  async restore(snapshot: Snapshot): Promise<void> {
    const { step, seed, tensors, identity } = checkSnapshot(snapshot)
    const { store, course, updates } = this.#executor
    const values = copyTensors(tensors, 'tensors of a snapshot', (name) => store.shapeOf(name))
    course.refuseOther(identity)
    const writes = store.fit(values, 'part of the training', { history: updates })
    this.#updates.startAnew()
    await this.#executor.enqueue(async () => {
      await this.#executor.write(writes, { steps: step, seed })
      course.restore(identity)
    }, 'change')
  }

  async reset(seed: number = this.seed): Promise<void> {
    if (!Number.isSafeInteger(seed)) throw new InputError(`seed ${say(seed)}: an integer is wanted`)
    const writes = this.#executor.store.first(seed, this.#bundle.weights)
    this.#updates.startAnew()
    await this.#executor.enqueue(() => this.#executor.reset(writes, seed), 'change')
  }

  close(): void {
    this.#executor.close()
  }
}

/** No session gives memory that it shares. */
const toObject = (values: ReadonlyMap<string, Numbers>): Outputs<AnyNet, Precision> =>
  Object.fromEntries(values) as Outputs<AnyNet, Precision>
