import { augment } from './data/augment.ts'
import type { Dataset } from './data/dataset.ts'
import { fieldsFor } from './data/fields.ts'
import { NetClasses } from './data/net-classes.ts'
import type { Device, Numbers, Precision, Session, StepScalars } from '../bundle/device.ts'
import { InputError, NonFiniteError } from '../bundle/errors.ts'
import { evaluateAll, type EvaluateOptions, type Evaluation } from './evaluate.ts'
import { type Bundle, type InputEntry, type Manifest, type OutputEntry, type ProgramEntry, type Storage, NON_FINITE_RESULT, taskOf,
  type TensorData } from '../bundle/format.ts'
import type { Host } from './host-types.ts'
import type { DataIdentity, TrainingIdentity } from './identity.ts'
import { divisorsOf } from './gradient-divisors.ts'
import { checkInputs, type ReadyInput } from './inputs.ts'
import { Frozen } from './frozen.ts'
import { KeptInputs } from './kept-inputs.ts'
import { type LossAndCount, LossWatch } from './loss-watch.ts'
import type { Inputs, Net, Outputs, StepResult, TrainStep } from './net-api.ts'
import type { NetParts } from './net-parts.ts'
import type { AnyNet } from './net-spec.ts'
import { inputsOf } from './needed.ts'
import { findNonFinite, type Place } from './non-finite.ts'
import { checkValues } from './one-value.ts'
import { amount, checkOptions, flag, oneOf } from '../bundle/options.ts'
import { ParameterStore } from './parameter-store.ts'
import { say } from '../bundle/plain.ts'
import { missingProgram, trainingProgram, type TrainStats } from '../bundle/programs.ts'
import { RestSession } from './tail-session.ts'
import { RunQueue } from './run-queue.ts'
import { type Horizon, rateAt, scalarsAt } from '../bundle/learning-rate.ts'
import { elementCount, inputTensor } from '../bundle/sizes.ts'
import { checkSnapshot, type Snapshot } from './snapshot.ts'
import { copyStretches } from './store.ts'
import { copyTensors, type Tensors } from './tensors.ts'
import { Totals } from '../bundle/totals.ts'
import { type TrainEvent, trainLoop, type TrainOptions } from './train-loop.ts'
import { TrainingCourse } from './training-course.ts'

const TRAIN_STATS = oneOf('batch', 'global')

interface ExecuteOptions {
  readonly rate?: number
  readonly update?: boolean
  readonly results?: readonly string[]
  readonly session?: Session
  readonly part?: number
  readonly lent?: boolean
  /** Further tensors to write before it runs. */
  readonly given?: readonly (readonly [tensor: number, data: Numbers])[]
  /** Nothing runs if this failed. */
  readonly after?: Promise<unknown>
}

/** A program that is to run, with inputs that fit it. */
interface Call {
  readonly program: string
  readonly entry: ProgramEntry
  readonly session: Session
  readonly inputs: ReadonlyMap<InputEntry, ReadyInput>
}

/** A program that was submitted as part of update t, at a rate. */
interface Started {
  readonly values: Promise<Map<string, Numbers>>
  readonly t: number
  readonly rate: number
}

/** A net on this thread, with what the rest of the runtime needs of it: `Net` says what its methods do. */
export class LocalNet implements Net<AnyNet, Precision> {
  readonly manifest: Manifest
  readonly device: Device
  readonly session: Session
  readonly batch: number
  readonly storage: Storage
  readonly notes: readonly string[]
  readonly #notes: string[]
  #parts: NetParts
  #seed: number
  #steps = 0
  readonly #watch = new LossWatch()
  #horizon: Horizon = {}
  /** Parameters are others than when it was opened. */
  #changed = false
  /** Parameters changed since `prepare` ran. */
  #stale = true
  readonly #queue = new RunQueue()
  readonly #rest: RestSession
  #kept = new KeptInputs()
  #needed = new Map<string, readonly InputEntry[]>()
  readonly #store: ParameterStore
  readonly #course: TrainingCourse
  readonly #classes: NetClasses
  readonly #frozen: Frozen

  constructor(parts: NetParts) {
    this.#parts = parts
    this.manifest = parts.bundle.manifest
    this.device = parts.device
    this.session = parts.session
    this.batch = parts.session.batch
    this.storage = parts.storage ?? 'f32'
    this.notes = this.#notes = [...parts.notes]
    this.#seed = parts.seed
    this.#store = new ParameterStore(this.manifest, parts.session)
    this.#rest = new RestSession(
      this.#queue,
      (batch, programs) => this.device.load(parts.bundle, batch, [...programs, 'prepare'], this.storage),
    )
    this.#frozen = new Frozen(this.manifest)
    this.#course = new TrainingCourse(this.manifest, this.batch, this.#frozen)
    this.#classes = new NetClasses(this.manifest.inputs)
  }

  get steps(): number {
    return this.#steps
  }

  get seed(): number {
    return this.#seed
  }

  get classes(): readonly string[] | undefined {
    const label = this.manifest.inputs.find(({ classes }) => classes !== undefined)
    return label && this.classesOf(label.name)
  }

  classesOf(label: string): readonly string[] | undefined {
    return this.#classes.of(label)
  }

  async run(inputs: Inputs, options: { readonly stats?: 'global' | 'batch' } = {}): Promise<Outputs<AnyNet, Precision>> {
    const { stats } = checkOptions('run', options, { stats: oneOf('global', 'batch') })
    const program = stats === 'batch' ? 'infer/batch' : 'infer'
    return toObject(await (await this.execute(program, inputs)).values)
  }

  async step(
    inputs: Inputs,
    options: { readonly update?: boolean; readonly rate?: number; readonly stats?: TrainStats } = {},
  ): Promise<StepResult<AnyNet, Precision>> {
    const { update = true, rate, stats } = checkOptions('step', options, { update: flag, rate: amount, stats: TRAIN_STATS })
    const started = await this.execute(trainingProgram(this.manifest, update ? 'step' : 'gradients', this.#frozen.stats(stats)), inputs, {
      rate,
      update,
    })
    const values = await started.values
    const outputs = new Map([...values].filter(([name]) => !/^(grad|count)\//.test(name)))
    const grads = new Map([...values].filter(([name]) => name.startsWith('grad/')).map(([name, v]) => [name.slice(5), v]))
    return {
      loss: this.lossOf(values),
      outputs: toObject(outputs),
      grads: toObject(grads),
      nonFinite: values.get(NON_FINITE_RESULT)?.[0] ?? 0,
    }
  }

  async trainStep(
    inputs: Inputs | readonly Inputs[],
    options: { readonly rate?: number; readonly stats?: TrainStats; readonly keepGoing?: boolean } = {},
  ): Promise<TrainStep> {
    return this.update(inputs, checkOptions('trainStep', options, { rate: amount, stats: TRAIN_STATS, keepGoing: flag }))
  }

  /** `trainStep`, with `lent` as in `execute`. */
  async update(
    inputs: Inputs | readonly Inputs[],
    { rate, stats: asked, lent, keepGoing }: {
      readonly rate?: number
      readonly stats?: TrainStats
      readonly lent?: boolean
      readonly keepGoing?: boolean
    },
  ): Promise<TrainStep> {
    const parts: readonly Inputs[] = Array.isArray(inputs) ? inputs : [inputs as Inputs]
    const wanted = this.manifest.train?.accumulate ?? 1
    if (parts.length !== wanted)
      throw new InputError(`this net adds up the gradients of ${wanted} batches before an update, here are ${parts.length}`)
    const stats = this.#frozen.stats(asked)
    // All of them are checked before the first runs: half a sum of gradients would be in the next update.
    const calls = parts.map((part, i) =>
      this.#check(trainingProgram(this.manifest, i === wanted - 1 ? 'train' : 'accumulate', stats), part, this.session)
    )
    const given = wanted > 1 ? divisorsOf(this.manifest.train, this.session.plan, calls.map((call) => [...call.inputs])) : []
    const results = [...this.lossNames, ...new Totals(this.#losses).results, NON_FINITE_RESULT]
    const started: Promise<Started>[] = []
    for (const [i, call] of calls.entries())
      started.push(this.#start(call, { rate, update: i === wanted - 1, results, part: i, lent, given, after: started[i - 1] }))
    const loss = this.#watch.loss(
      this.#lossAndCount(started),
      keepGoing ? undefined : async ({ loss, elements, lastFiniteLoss }) => {
        const { t, rate } = await started.at(-1)!
        return new NonFiniteError(
          { step: t + 1, rate, loss, elements, lastFiniteLoss },
          lent ? undefined : await this.#locate(calls.at(-1)!, started.at(-1)!),
        )
      },
    )
    // Whoever does not ask for it learns of a failed device at the next step.
    loss.catch(() => {})
    const { t, rate: taken } = (await Promise.all(started)).at(-1)!
    return { step: t + 1, rate: taken, loss }
  }

  /** The loss of an update's batches as of one, and how many elements its gradients and what became of the parameters have that are no numbers. */
  async #lossAndCount(started: readonly Promise<Started>[]): Promise<LossAndCount> {
    const parts = await Promise.all(started.map(async (part) => (await part).values))
    return {
      loss: parts.length === 1 ? this.lossOf(parts[0]!) : this.#lossOfAll(parts),
      elements: parts.at(-1)!.get(NON_FINITE_RESULT)?.[0] ?? 0,
    }
  }

  /** Where it shows first, of what the session holds as the last inputs: nothing else may have run since. */
  async #locate(call: Call, started: Promise<Started>): Promise<Place | undefined> {
    const { t, rate } = await started
    return this.exclusively(async () => (this.#steps === t + 1 ? this.#trace(call, t, rate) : undefined))
  }

  /** The same of the batches of update t, from 0, handed in again. */
  async locate(inputs: readonly Inputs[], t: number, rate: number, stats?: TrainStats): Promise<Place | undefined> {
    const calls = inputs.map((part, i) =>
      this.#check(trainingProgram(this.manifest, i === inputs.length - 1 ? 'train' : 'accumulate', stats), part, this.session)
    )
    return this.exclusively(async () => {
      for (const [i, call] of calls.entries()) {
        for (const [input, { data }] of call.inputs) this.session.write(inputTensor(this.session.plan, input), data)
        const found = await this.#trace(call, t, rate, i)
        if (found) return found
      }
      return undefined
    })
  }

  async #trace(
    { program, session }: Call,
    t: number,
    rate: number,
    part = (this.manifest.train?.accumulate ?? 1) - 1,
  ): Promise<Place | undefined> {
    return session.trace && findNonFinite(this.manifest, session, program, this.#scalars(t, rate, part))
  }

  /** Batches that are added up to one update share its number, but not their dropout. */
  #scalars(t: number, rate: number, part = 0): StepScalars {
    return scalarsAt(this.manifest.train, t, this.#seed + part * 0x9e3779b1, rate)
  }

  async freeze(patterns: readonly string[]): Promise<readonly string[]> {
    return this.setFrozen(this.namesOf(patterns))
  }

  get frozen(): readonly string[] {
    return this.#frozen.names
  }

  /** What patterns of `freeze` mean. Throws InputError. */
  namesOf(patterns: readonly string[]): ReadonlySet<string> {
    return this.#frozen.match(patterns)
  }

  /** What `freeze` froze. */
  get frozenByName(): ReadonlySet<string> {
    return this.#frozen.added
  }

  /** The statistics that training normalizes with: see Frozen. */
  trainStats(asked: TrainStats | undefined): TrainStats | undefined {
    return this.#frozen.stats(asked)
  }

  /** Freezes by name, for `freeze` and for `train`, which lets go again. */
  async setFrozen(names: ReadonlySet<string>): Promise<readonly string[]> {
    // What is asked for behind this call, before it is awaited, counts with it.
    this.#frozen.set(names)
    await this.exclusively(async () => {
      const multipliers = this.#frozen.multipliers(this.session.plan)
      if (multipliers) this.session.write(...multipliers)
    })
    return this.frozen
  }

  train(dataset: Dataset, options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
    return trainLoop(this, dataset, options)
  }

  evaluate(dataset: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
    return evaluateAll(this, dataset, options)
  }

  rateAt(t: number): number {
    const { train } = this.manifest
    return train ? rateAt(train, t, this.#horizon) : 0
  }

  /** How long epochs and the training are: what schedules count in. */
  get horizon(): Horizon {
    return this.#horizon
  }

  set horizon(horizon: Horizon) {
    this.#horizon = horizon
  }

  get #losses(): readonly OutputEntry[] {
    return this.manifest.outputs.filter((o) => o.role === 'loss')
  }

  get lossNames(): readonly string[] {
    return this.#losses.map((o) => o.name)
  }

  /** Of the batches of an update. The solver takes the mean of these, so a sum counts as the mean of its values (Caffe's iter_size). */
  #lossOfAll(parts: readonly ReadonlyMap<string, Numbers>[]): number {
    const totals = new Totals(this.#losses)
    for (const values of parts) totals.add(values, this.batch)
    return this.lossOf(new Map([...totals.values('mean')].map(([name, value]) => [name, [value]])))
  }

  /** The sum of all losses with their weights. */
  lossOf(values: ReadonlyMap<string, ArrayLike<number>>): number {
    const terms = this.manifest.outputs.filter((o) => o.role === 'loss' && values.has(o.name))
    return terms.length ? terms.reduce((sum, o) => sum + (o.weight ?? 1) * values.get(o.name)![0]!, 0) : NaN
  }

  program(name: string): ProgramEntry {
    const { programs, held = [] } = this.#parts
    const known = this.session.plan.programs
    const isLoaded = !programs || name === 'prepare' || programs.includes(name)
    if (isLoaded && Object.hasOwn(known, name)) return known[name]!
    if (!isLoaded && [...held, ...Object.keys(known)].includes(name))
      throw new InputError(
        `program ${name} was not loaded: open the net with programs: [${
          [...programs, name].map((p) => `'${p}'`).join(', ')
        }], or without \`programs\``,
      )
    throw new InputError(missingProgram(this.manifest, name, held.length > 0 ? held : Object.keys(known), this.storage))
  }

  /** Inputs that a program reads or gives back. */
  neededInputs(program: string): readonly InputEntry[] {
    const known = this.#needed.get(program)
    if (known) return known
    this.program(program)
    const needed = inputsOf(this.session.plan, program, this.manifest.inputs)
    this.#needed.set(program, needed)
    return needed
  }

  /**
   * Writes inputs, runs `prepare` if parameters changed and then the program, and starts reading results (all of them by
   * default): one at a time, so calls that are not awaited cannot mix. Arrays are the caller's again when this returns, unless they are
   * `lent` until it resolves. `session`: another one of the same bundle. Throws InputError for what does not fit.
   */
  execute(program: string, inputs: Inputs, options: ExecuteOptions = {}): Promise<Started> {
    return this.#start(this.#check(program, inputs, options.session ?? this.session), options)
  }

  #check(program: string, inputs: Inputs, session: Session): Call {
    const own = this.program(program)
    // A device may plan each session by itself, so it is the session's own plan that says where results lie.
    const entry = session === this.session ? own : session.plan.programs[program] ?? own
    if (!this.#parts.allowOneValue) checkValues(this.manifest, [program], session.batch)
    return { program, entry, session, inputs: checkInputs(this.manifest.inputs, this.neededInputs(program), inputs, session.batch) }
  }

  #start({ program, entry, session, inputs }: Call, options: ExecuteOptions): Promise<Started> {
    const names = (options.results ?? Object.keys(entry.results)).filter((name) => Object.hasOwn(entry.results, name))
    const write = (ready: Call['inputs']): void => {
      for (const [input, { data }] of ready) session.write(inputTensor(session.plan, input), data)
    }
    // Where nothing waits, the device takes them now and they are copied once.
    const kept = options.lent ? inputs : this.#queue.isBusy ? this.#kept.keep(inputs) : undefined
    let failure: { readonly error: unknown } | undefined
    if (!kept && !this.#queue.isClosed) {
      try {
        write(inputs)
      } catch (error) {
        failure = { error }
      }
    }
    return this.exclusively(async () => {
      if (failure) throw failure.error
      await options.after
      const t = this.#steps
      const rate = options.rate ?? this.rateAt(t)
      if (options.update && !Number.isFinite(Math.fround(rate)))
        throw new InputError(`the rate of update ${t + 1} is ${rate}, which float32 does not hold: look at lr and the schedule`)
      const scalars = this.#scalars(t, rate, options.part)
      if (entry.needsPrepare && session === this.session && this.#stale) {
        await session.run('prepare', scalars)
        this.#stale = false
      }
      if (kept) {
        write(kept)
        if (!options.lent) this.#kept.release(kept)
      }
      const counter = entry.results[NON_FINITE_RESULT]
      if (counter !== undefined) session.write(counter, Int32Array.of(0))
      for (const [tensor, data] of options.given ?? []) session.write(tensor, data)
      await session.run(program, scalars)
      if (options.update) {
        this.#changed = true
        this.#steps++
        this.#stale = true
      }
      const values = names.length ? session.read(names.map((name) => entry.results[name]!)) : Promise.resolve([])
      const named = values.then((all) => new Map(all.map((v, i) => [names[i]!, v])))
      named.catch(() => {})
      return { values: named, t, rate }
    })
  }

  /** Work on the session, one after another in the order of the calls. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(work)
  }

  /** A session at another batch with the parameters of now, that runs these programs: for the last samples of an evaluation. */
  async sessionFor(batch: number, programs: readonly string[]): Promise<Session> {
    const rest = await this.#rest.at(batch, programs)
    await this.exclusively(async () => {
      await copyStretches(this.session, rest, [...this.#store.stretches().values()])
      if (programs.some((name) => this.program(name).needsPrepare))
        await rest.run('prepare', scalarsAt(this.manifest.train, this.#steps, this.#seed, 0))
    })
    return rest
  }

  parameters(): Promise<Map<string, TensorData>> {
    return this.exclusively(() => this.#store.read())
  }

  async setParameters(values: Tensors, options: { readonly strict?: boolean } = {}): Promise<void> {
    const { strict } = checkOptions('setParameters', options, { strict: flag })
    const writes = this.#store.fit(copyTensors(values, 'parameters', (name) => this.#store.shapeOf(name)), 'parameter', { strict })
    await this.exclusively(async () => {
      await this.#store.write(writes)
      this.#changed = true
      this.#stale = true
    })
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
    const { files, manifest: { plans } } = await this.#whole()
    // Weights that changed are no longer those that were chosen.
    const { best, ...rest } = this.manifest
    return { files, manifest: { ...rest, ...(best && !this.#changed && { best }), plans, inputs: this.#classes.inputs }, weights }
  }

  /** The bundle as it lies where it was opened from: what was not needed to run it is read now. */
  async #whole(): Promise<Bundle> {
    const { bundle, whole } = this.#parts
    try {
      return await whole?.() ?? bundle
    } catch (error) {
      this.#notes.push(
        `saved with the programs that were loaded alone (${Object.keys(this.session.plan.programs).join(', ')}): ${
          (error as Error).message
        }`,
      )
      return bundle
    }
  }

  get identity(): TrainingIdentity {
    return this.#course.identity
  }

  snapshot(): Promise<Snapshot> {
    const { identity } = this
    return this.exclusively(async () => {
      return { step: this.#steps, seed: this.#seed, tensors: await this.#store.read(this.#updates()), identity }
    })
  }

  async restore(snapshot: Snapshot): Promise<void> {
    const { step, seed, tensors, identity } = checkSnapshot(snapshot)
    const values = copyTensors(tensors, 'tensors of a snapshot', (name) => this.#store.shapeOf(name))
    this.#course.refuseOther(identity)
    const writes = this.#store.fit(values, 'part of the training', { history: this.#updates() })
    await this.exclusively(async () => {
      await this.#store.write(writes)
      this.#changed = true
      this.#stale = true
      this.#steps = step
      this.#seed = seed
      this.#course.restore(identity)
    })
  }

  /** What `train` does first: see TrainingCourse. `fields`: of the dataset, those that are read. */
  begin(
    dataset: Dataset,
    fields: readonly string[],
    options: { readonly stats?: TrainStats; readonly augment?: boolean },
  ): Promise<DataIdentity> {
    return this.#course.begin(dataset, fields, options, () => this.#steps)
  }

  /** Whether programs with a solver are loaded. */
  #updates(): boolean {
    const loaded = this.#parts.programs ?? Object.keys(this.session.plan.programs)
    return loaded.some((name) => taskOf(name) === 'train' || taskOf(name) === 'step')
  }

  async reset(seed = this.#seed): Promise<void> {
    if (!Number.isSafeInteger(seed)) throw new InputError(`seed ${say(seed)}: an integer is wanted`)
    const writes = this.#store.first(seed, this.#parts.bundle.weights)
    const { plan, batch } = this.session
    await this.exclusively(async () => {
      await this.#store.write(writes)
      plan.tensors.forEach((t, i) => {
        if (this.#steps > 0 && this.#updates() && plan.buffers[t.buffer]!.role === 'history')
          this.session.write(i, new Float32Array(elementCount(t.shape, batch)))
      })
      this.#stale = true
      this.#seed = seed
      this.#steps = 0
      this.#changed = false
      this.#course.reset()
    })
  }

  /**
   * A dataset as a program reads it: which field feeds which input, `plain` with labels as the net has them, and `dataset` with pictures
   * changed as the file's `augment` says, if `augment` is not false. `learn`: a net whose classes have no names takes those of
   * the data.
   */
  feed(
    program: string,
    given: Dataset,
    { learn, augment: changes = true }: { readonly learn: boolean; readonly augment?: boolean },
  ): { fields: Map<string, string>; plain: Dataset; dataset: Dataset } {
    const inputs = this.neededInputs(program)
    const calls = changes ? this.manifest.train?.augment ?? [] : []
    const fields = fieldsFor(inputs, augment(given, calls, inputs))
    const plain = this.#classes.apply(fields, given, learn)
    return { fields, plain, dataset: augment(plain, calls, inputs) }
  }

  close(): void {
    if (this.#queue.isClosed) return
    this.#queue.close()
    this.#rest.close()
    this.session.close()
    if (this.#parts.ownsDevice) this.device.close()
  }
}

/** No session gives memory that it shares. */
const toObject = (values: ReadonlyMap<string, Numbers>): Outputs<AnyNet, Precision> =>
  Object.fromEntries(values) as Outputs<AnyNet, Precision>
