import { checkDataset, type Dataset } from '../data/dataset.ts'
import { copyOf } from '../../bundle/copy.ts'
import { type Device, DeviceError } from '../../bundle/device.ts'
import { InputError } from '../../bundle/errors.ts'
import type { EvaluateOptions, Evaluation } from '../evaluate-options.ts'
import type { Bundle, Manifest, Storage, TensorData } from '../../bundle/format.ts'
import type { TrainingIdentity } from '../../bundle/training-identity.ts'
import { checkInputs, type InputValues } from '../inputs.ts'
import { LoopEndings } from '../loop-endings.ts'
import type { Inputs, Net, Outputs, StepResult, TrainStep } from '../net-api.ts'
import type { AnyNet } from '../net-spec.ts'
import { isNamed } from '../../bundle/plain.ts'
import type { TrainStats } from '../../bundle/programs.ts'
import { nameIn, SCHEME } from '../saved/database.ts'
import { checkTarget, needsPage, saveTo } from '../saved/save-to.ts'
import { rateAt } from '../../bundle/learning-rate.ts'
import { checkSnapshot, HISTORY, type Snapshot } from '../snapshot.ts'
import { copyTensors, type Tensors } from '../tensors.ts'
import type { TrainEvent, TrainOptions } from '../train-options.ts'
import { type Channel, moved } from './channel.ts'
import type { SentDatasets } from './datasets.ts'
import type { DeviceFacts, NetState, OpenedNet } from './messages.ts'

/** The parts of an opened net in a worker. */
export interface RemoteParts {
  readonly channel: Channel
  readonly datasets: SentDatasets
  readonly listeners: Listeners
  readonly opened: OpenedNet
  /** Ends the worker, where it is the net's own. */
  end(): void
}

/** The listeners to events of trainings and evaluations in progress, by their number. */
export interface Listeners {
  readonly events: Map<number, (event: TrainEvent, state: NetState) => void>
  readonly evaluated: Map<number, (done: number, of: number) => void>
}

interface Answer<T> {
  readonly result: T
  readonly state: NetState
}

/** A net that runs in a worker, as its user sees it: inputs are checked and copied here, at the call; everything else happens there, in the order of the calls. */
export class RemoteNet implements Net<AnyNet> {
  readonly manifest: Manifest
  readonly device: Device
  readonly batch: number
  readonly storage: Storage
  readonly notes: readonly string[]
  readonly #notes: string[]
  readonly #parts: RemoteParts
  #state: NetState
  #identity!: TrainingIdentity
  #classes: NonNullable<NetState['classes']> = {}
  #closed = false
  #next = 1
  readonly #endings = new LoopEndings()

  constructor(parts: RemoteParts) {
    const { opened: { manifest, device, batch, storage, state } } = parts
    this.#parts = parts
    this.manifest = withoutPlans(manifest)
    this.device = deviceOf(device)
    this.batch = batch
    this.storage = storage
    this.notes = this.#notes = []
    this.#state = state
    this.#follow(state)
  }

  get steps(): number {
    return this.#state.steps
  }

  get seed(): number {
    return this.#state.seed
  }

  get frozen(): readonly string[] {
    return this.#state.frozen
  }

  get identity(): TrainingIdentity {
    return this.#identity
  }

  get classes(): readonly string[] | undefined {
    const label = this.manifest.inputs.find(({ classes }) => classes !== undefined)
    return label && this.classesOf(label.name)
  }

  classesOf(label: string): readonly string[] | undefined {
    return Object.hasOwn(this.#classes, label) ? this.#classes[label] : undefined
  }

  rateAt(t: number): number {
    const { train } = this.manifest
    return train ? rateAt(train, t, this.#state.horizon) : 0
  }

  async run(inputs: Inputs, options?: { readonly stats?: 'global' | 'batch' }): Promise<Outputs> {
    this.#endings.idle()
    return await this.#ask('run', this.#copied('run', inputs), sendable(options)) as Outputs
  }

  async step(
    inputs: Inputs,
    options?: { readonly update?: boolean; readonly rate?: number; readonly stats?: TrainStats },
  ): Promise<StepResult> {
    return await this.#ask('step', this.#copied('step', inputs), sendable(options)) as StepResult
  }

  async trainStep(
    inputs: Inputs | readonly Inputs[],
    options?: { readonly rate?: number; readonly stats?: TrainStats; readonly keepGoing?: boolean },
  ): Promise<TrainStep> {
    const copies = Array.isArray(inputs) ? moved(inputs.map((each: Inputs) => this.#copies('step', each)))
      : this.#copied('step', inputs as Inputs)
    const { step, rate, loss: key } = await this.#ask('trainStep', copies, sendable(options)) as {
      step: number
      rate: number
      loss: number
    }
    const loss = this.#parts.channel.call('loss', key) as Promise<number>
    // Whoever does not ask for it learns of a failed device at the next step.
    loss.catch(() => {})
    return { step, rate, loss }
  }

  async freeze(patterns: readonly string[]): Promise<readonly string[]> {
    return await this.#ask('freeze', sendable(patterns)) as readonly string[]
  }

  train(dataset: Dataset, options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
    return this.#endings.heard(this.#train(dataset, options))
  }

  async *#train(dataset: Dataset, options: TrainOptions): AsyncGenerator<TrainEvent, void, undefined> {
    checkDataset(dataset)
    if (this.#endings.settled) await this.#endings.settled
    const { channel, datasets, listeners } = this.#parts
    const id = this.#next++
    const waiting: TrainEvent[] = []
    let wake = (): void => {}
    let end: { readonly failure?: unknown } | undefined
    listeners.events.set(id, (event, state) => {
      this.#follow(state)
      waiting.push(event)
      wake()
    })
    const finished = datasets.with(
      dataset,
      async (sent) => this.#follow((await channel.call('train', id, sent, sendable(options)) as Answer<void>).state),
    )
      .then(() => {
        end = {}
      }, (failure: unknown) => {
        end = { failure }
      }).then(() => wake())
    try {
      for (;;) {
        const event = waiting.shift()
        if (event) {
          yield event
          channel.tell('taken', id)
        } else if (end) {
          if ('failure' in end) throw end.failure
          return
        } else await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      channel.tell('stop', id)
      await finished
      listeners.events.delete(id)
    }
  }

  async evaluate(dataset: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
    checkDataset(dataset)
    this.#endings.idle()
    const { datasets, listeners } = this.#parts
    const { onProgress, ...rest } = isNamed(options) ? options as EvaluateOptions : { ...options }
    const reports = typeof onProgress === 'function'
    const id = this.#next++
    let broken: { readonly error: unknown } | undefined
    if (reports) {
      listeners.evaluated.set(id, (done, of) => {
        try {
          if (!broken) onProgress(done, of)
        } catch (error) {
          broken = { error }
        }
      })
    }
    try {
      const given = !isNamed(options) ? options : reports ? rest : options
      const found = await datasets.with(dataset, (sent) => this.#ask('evaluate', id, sent, sendable(given), reports)) as Evaluation
      if (broken) throw (broken as { error: unknown }).error
      return found
    } finally {
      listeners.evaluated.delete(id)
    }
  }

  async parameters(): Promise<Map<string, TensorData>> {
    this.#endings.idle()
    return await this.#ask('parameters') as Map<string, TensorData>
  }

  async setParameters(values: Tensors, options?: { readonly strict?: boolean }): Promise<void> {
    await this.#ask('setParameters', moved(copyTensors(values, 'parameters', (name) => this.#shapeOf(name))), sendable(options))
  }

  async save(to?: string | URL): Promise<Bundle> {
    if (to !== undefined) checkTarget(to)
    this.#endings.idle()
    // A worker cannot hand out a download.
    const here = needsPage(to)
    const { bundle, weights: key } = await this.#ask('save', here || to === undefined ? undefined : `${SCHEME}//${nameIn(to)}`) as {
      bundle: Omit<Bundle, 'weights'>
      weights: number
    }
    const weights = await this.#parts.channel.call('weights', key) as Map<string, TensorData>
    const saved: Bundle = { ...bundle, weights }
    if (here) await saveTo(saved, to!)
    return saved
  }

  async snapshot(): Promise<Snapshot> {
    return await this.#ask('snapshot') as Snapshot
  }

  async restore(snapshot: Snapshot): Promise<void> {
    const { step, seed, tensors, identity } = checkSnapshot(snapshot)
    const copies = copyTensors(tensors, 'tensors of a snapshot', (name) => this.#shapeOf(name))
    await this.#ask('restore', moved({ step, seed, tensors: copies, ...(identity && { identity: sendable(identity) }) }))
  }

  async reset(seed?: number): Promise<void> {
    await this.#ask('reset', sendable(seed))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    const { channel, end } = this.#parts
    channel.tell('close')
    channel.end(new DeviceError('this net was closed'))
    end()
  }

  /** A call that the worker answers with what has become of the net. */
  async #ask(name: string, ...args: readonly unknown[]): Promise<unknown> {
    const { result, state } = await this.#parts.channel.call(name, ...args) as Answer<unknown>
    this.#follow(state)
    return result
  }

  #follow(state: NetState): void {
    this.#state = state
    this.#notes.splice(0, this.#notes.length, ...state.notes)
    if (state.identity) this.#identity = state.identity
    if (state.classes) this.#classes = state.classes
  }

  #copied(call: 'run' | 'step', inputs: Inputs): unknown {
    return moved(this.#copies(call, inputs))
  }

  /** Checked as where the net runs; the caller's arrays are the caller's again. */
  #copies(call: 'run' | 'step', inputs: Inputs): Record<string, unknown> {
    const needs = this.#parts.opened.needs[call]
    checkInputs(
      this.manifest.inputs,
      this.manifest.inputs.filter(({ name }) => needs.includes(name)),
      inputs as Readonly<Record<string, InputValues>>,
      this.batch,
    )
    return Object.fromEntries(
      Object.entries(inputs).map(([name, values]) => [name, ArrayBuffer.isView(values) ? copyOf(values) : values]),
    )
  }

  #shapeOf(name: string): readonly number[] | undefined {
    const own = name.startsWith(HISTORY) ? name.slice(name.indexOf('/', HISTORY.length) + 1) : name
    return this.manifest.parameters.find((parameter) => parameter.name === own)?.shape
  }
}

/** A manifest without plans: reading `plans` throws an error that says where they are. */
function withoutPlans(manifest: OpenedNet['manifest']): Manifest {
  return Object.defineProperty({ ...manifest }, 'plans', {
    enumerable: false,
    get() {
      throw new InputError('the plans of a net in a worker stay there: (await net.save()).manifest.plans has them')
    },
  }) as Manifest
}

function deviceOf(facts: DeviceFacts): Device {
  return {
    ...facts,
    load: () => Promise.reject(new DeviceError('the device of a net in a worker is there: open other nets by open(url, { worker })')),
    close() {},
  }
}

/** Options without what no message can hold; that is refused there, by what it is called. */
function sendable(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch {
    return isNamed(value)
      ? Object.fromEntries(
        Object.entries(value).map((
          [name, each],
        ) => [
          name,
          typeof each === 'object' && each !== null ? sendable(each)
            : typeof each === 'function' || typeof each === 'symbol' ? String(each) : each,
        ]),
      ) : String(value)
  }
}
