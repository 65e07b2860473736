import { augment } from './data/augment.ts'
import type { Dataset } from './data/dataset.ts'
import { fieldsFor } from './data/fields.ts'
import { NetClasses } from './data/net-classes.ts'
import type { Device, Numbers, Session, StepScalars } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import { type Bundle, type InputEntry, type Manifest, NON_FINITE_RESULT, type OutputEntry, type ProgramEntry, type Storage,
  taskOf } from '../bundle/format.ts'
import { type Horizon, rateAt, scalarsAt } from '../bundle/learning-rate.ts'
import { missingProgram } from '../bundle/programs.ts'
import { elementCount, inputTensor } from '../bundle/sizes.ts'
import { copySlices } from './buffer-slices.ts'
import { Frozen } from './frozen.ts'
import { checkInputs, type ReadyInput } from './inputs.ts'
import { KeptInputs } from './kept-inputs.ts'
import { LoopEndings } from './loop-endings.ts'
import { inputsOf } from './needed.ts'
import type { Inputs } from './net-api.ts'
import type { NetParts } from './net-parts.ts'
import { checkValues } from './one-value.ts'
import { ParameterStore, type Writes } from './parameter-store.ts'
import { RunQueue, type Work } from './run-queue.ts'
import { StaleGradients } from './stale-gradients.ts'
import { TailSession } from './tail-session.ts'
import { TrainingCourse } from './training-course.ts'

export interface ExecuteOptions {
  /** The learning rate. Default: the schedule's. */
  readonly rate?: number
  /** Whether the program writes new parameters. */
  readonly update?: boolean
  /** Results to read. Default: all. */
  readonly results?: readonly string[]
  /** Another session of the same bundle. */
  readonly session?: Session
  /** Index of this batch among the batches of one update, from 0. */
  readonly part?: number
  /** The arrays of the inputs stay as they are until the promise resolves, so that they need not be copied. */
  readonly lent?: boolean
  /** Further tensors to write before it runs. */
  readonly given?: readonly (readonly [tensor: number, data: Numbers])[]
  /** Nothing runs if this failed. */
  readonly after?: Promise<unknown>
  /** Runs at the turn of the program, which does not run where it throws. */
  readonly first?: (() => Promise<void>) | undefined
  /** What it does to the net. Default: `change` for an update, else `read`. */
  readonly kind?: Work
}

/** A program that is to run, with inputs that fit it. */
export interface Call {
  readonly program: string
  readonly entry: ProgramEntry
  readonly session: Session
  readonly inputs: ReadonlyMap<InputEntry, ReadyInput>
}

/** A program that was submitted as part of update t, at a rate. */
export interface Started {
  readonly values: Promise<Map<string, Numbers>>
  readonly t: number
  readonly rate: number
}

/** The position of a net in its training, as far as others may set it. */
interface Progress {
  readonly steps: number
  readonly seed: number
}

/**
 * Runs the programs of a net on its session, one after another, and holds what runs depend on: parameters, the step that the training is at, what is
 * frozen. A net is its public face; trainings and evaluations use the executor.
 */
export class Executor {
  readonly manifest: Manifest
  readonly device: Device
  readonly session: Session
  readonly batch: number
  readonly storage: Storage
  readonly store: ParameterStore
  readonly frozen: Frozen
  readonly classes: NetClasses
  readonly course: TrainingCourse
  /** The numbers of updates of an epoch and of the whole training. Learning rate schedules count in them. */
  trainingLength: Horizon = {}
  /** A loop of `train` began and has not ended. */
  isTraining = false
  readonly endings = new LoopEndings()
  /** Factors of stored statistics that were not 0 since parameters were set: updates leave them so. */
  readonly seenFactors = new Set<string>()
  readonly #parts: NetParts
  #progress: Progress
  /** Parameters are others than when the net was opened. */
  #changed = false
  /** Parameters changed since `prepare` ran. */
  #preparedStale = true
  readonly #queue = new RunQueue()
  readonly #tailSession: TailSession
  readonly #staleGradients: StaleGradients
  readonly #kept = new KeptInputs()
  readonly #needed = new Map<string, readonly InputEntry[]>()

  constructor(parts: NetParts) {
    const { bundle, device, session, storage = 'f32', seed } = parts
    this.#parts = parts
    this.manifest = bundle.manifest
    this.device = device
    this.session = session
    this.batch = session.batch
    this.storage = storage
    this.#progress = { steps: 0, seed }
    this.store = new ParameterStore(this.manifest, session)
    this.#tailSession = new TailSession(this.#queue, (batch, programs) => device.load(bundle, batch, programs, storage))
    this.#staleGradients = new StaleGradients(session)
    this.frozen = new Frozen(this.manifest)
    this.course = new TrainingCourse(this.manifest, this.batch, this.frozen)
    this.classes = new NetClasses(this.manifest.inputs)
  }

  /** Updates done. */
  get steps(): number {
    return this.#progress.steps
  }

  get seed(): number {
    return this.#progress.seed
  }

  /** Whether parameters differ from those that the net was opened with. */
  get hasChanged(): boolean {
    return this.#changed
  }

  /** The rate of update t, from 0. */
  rateAt(t: number): number {
    const { train } = this.manifest
    return train ? rateAt(train, t, this.trainingLength) : 0
  }

  /** The scalars of a step. Batches that are added up to one update share its number, but not their dropout. */
  scalars(t: number, rate: number, part = 0): StepScalars {
    return scalarsAt(this.manifest.train, t, this.seed + part * 0x9e3779b1, rate)
  }

  /** Throws InputError for a program that was not loaded, or that the net does not have. */
  program(name: string): ProgramEntry {
    const { programs, held = [] } = this.#parts
    const known = this.session.plan.programs
    const isLoaded = !programs || name === 'prepare' || programs.includes(name)
    if (isLoaded && Object.hasOwn(known, name)) return known[name]!
    if (!isLoaded && [...held, ...Object.keys(known)].includes(name)) {
      const wanted = [...programs, name].map((p) => `'${p}'`).join(', ')
      throw new InputError(`program ${name} was not loaded: open the net with programs: [${wanted}], or without \`programs\``)
    }
    throw new InputError(missingProgram(this.manifest, name, held.length > 0 ? held : Object.keys(known), this.storage))
  }

  /** Inputs that a program reads or gives back. Throws what `program` throws. */
  neededInputs(program: string): readonly InputEntry[] {
    const known = this.#needed.get(program)
    if (known) return known
    this.program(program)
    const needed = inputsOf(this.session.plan, program, this.manifest.inputs)
    this.#needed.set(program, needed)
    return needed
  }

  /**
   * Writes inputs, runs `prepare` if parameters changed and then the program, and starts reading results: one call at a time, so calls that are not
   * awaited cannot mix. Arrays are the caller's again when this returns, unless they are `lent`. Throws InputError for inputs that do not fit.
   */
  execute(program: string, inputs: Inputs, options: ExecuteOptions = {}): Promise<Started> {
    return this.start(this.check(program, inputs, options.session ?? this.session), options)
  }

  /** The first half of `execute`. Throws InputError for inputs that do not fit. */
  check(program: string, inputs: Inputs, session: Session = this.session): Call {
    const own = this.program(program)
    // A device may plan each session by itself, so it is the session's own plan that says where results lie.
    const entry = session === this.session ? own : session.plan.programs[program] ?? own
    if (!this.#parts.allowOneValue) checkValues(this.manifest, [program], session.batch)
    return { program, entry, session, inputs: checkInputs(this.manifest.inputs, this.neededInputs(program), inputs, session.batch) }
  }

  /** The second half of `execute`. */
  start({ program, entry, session, inputs }: Call, options: ExecuteOptions): Promise<Started> {
    const names = (options.results ?? Object.keys(entry.results)).filter((name) => Object.hasOwn(entry.results, name))
    const write = (ready: Call['inputs']): void => {
      for (const [input, { data }] of ready) session.write(inputTensor(session.plan, input), data)
    }
    const kind = options.kind ?? (options.update ? 'change' : 'read')
    // Where nothing waits, the device takes them now and they are copied once.
    const kept = options.lent ? inputs : this.#queue.isBusyFor(kind) ? this.#kept.keep(inputs) : undefined
    let failure: { readonly error: unknown } | undefined
    if (!kept && !this.#queue.isClosed) {
      try {
        write(inputs)
      } catch (error) {
        failure = { error }
      }
    }
    return this.enqueue(async () => {
      if (failure) throw failure.error
      await options.after
      await options.first?.()
      const t = this.steps
      const rate = options.rate ?? this.rateAt(t)
      if (options.update && !Number.isFinite(Math.fround(rate)))
        throw new InputError(`the rate of update ${t + 1} is ${rate}, which float32 does not hold: look at lr and the schedule`)
      const scalars = this.scalars(t, rate, options.part)
      if (entry.needsPrepare && session === this.session && this.#preparedStale) {
        await session.run('prepare', scalars)
        this.#preparedStale = false
      }
      if (kept) {
        write(kept)
        if (!options.lent) this.#kept.release(kept)
      }
      const counter = entry.results[NON_FINITE_RESULT]
      if (counter !== undefined) session.write(counter, Int32Array.of(0))
      for (const [tensor, data] of options.given ?? []) session.write(tensor, data)
      if (session === this.session) this.#staleGradients.clearFor(program)
      await session.run(program, scalars)
      if (options.update) this.#changeTo({ steps: t + 1, seed: this.seed })
      const values = names.length ? session.read(names.map((name) => entry.results[name]!)) : Promise.resolve([])
      const named = values.then((all) => new Map(all.map((v, i) => [names[i]!, v])))
      named.catch(() => {})
      return { values: named, t, rate }
    }, kind)
  }

  /** Does work on the session, one piece after another in the order of the calls. Rejects with DeviceError where the net is closed by then. */
  enqueue<T>(work: () => Promise<T>, kind: Work = 'read'): Promise<T> {
    return this.#queue.run(work, kind)
  }

  /** Does an evaluation, whose parts are `execute` of the kind `evaluate` and `sessionFor`: nothing changes parameters between them. */
  evaluation<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.evaluation(work)
  }

  /** A session at another batch with the parameters of now, that runs these programs: for the last samples of an evaluation. */
  async sessionFor(batch: number, programs: readonly string[]): Promise<Session> {
    const session = await this.#tailSession.at(batch, programs)
    await this.enqueue(async () => {
      await copySlices(this.session, session, [...this.store.slices().values()])
      if (programs.some((name) => this.program(name).needsPrepare)) await session.run('prepare', this.scalars(this.steps, 0))
    }, 'evaluate')
    return session
  }

  /** Sets parameters or more of the training. `progress`: where the training is then; default: where it is. */
  async write(writes: Writes, progress?: Progress): Promise<void> {
    this.seenFactors.clear()
    await this.store.write(writes)
    this.#changeTo(progress ?? this.#progress)
  }

  /** Starts the training over with these first values: histories are zero. */
  async reset(writes: Writes, seed: number): Promise<void> {
    const { plan, batch } = this.session
    this.seenFactors.clear()
    await this.store.write(writes)
    plan.tensors.forEach((t, i) => {
      if (this.steps > 0 && this.updates && plan.buffers[t.buffer]!.role === 'history')
        this.session.write(i, new Float32Array(elementCount(t.shape, batch)))
    })
    this.#changeTo({ steps: 0, seed })
    this.#changed = false
    this.trainingLength = {}
    this.course.reset()
  }

  #changeTo(progress: Progress): void {
    this.#progress = progress
    this.#changed = true
    this.#preparedStale = true
  }

  /** Freezes these parameters and no others, beside those that the net was compiled without. */
  async setFrozen(names: ReadonlySet<string>): Promise<void> {
    // What is asked for behind this call, before it is awaited, counts with it.
    this.frozen.set(names)
    await this.enqueue(async () => {
      const multipliers = this.frozen.multipliers(this.session.plan)
      if (multipliers) this.session.write(...multipliers)
    })
  }

  /** Whether programs with a solver are loaded. */
  get updates(): boolean {
    const loaded = this.#parts.programs ?? Object.keys(this.session.plan.programs)
    return loaded.some((name) => taskOf(name) === 'train' || taskOf(name) === 'step')
  }

  get losses(): readonly OutputEntry[] {
    return this.manifest.outputs.filter((o) => o.role === 'loss')
  }

  /** The sum of all losses with their weights. NaN where the net has none. */
  lossOf(values: ReadonlyMap<string, ArrayLike<number>>): number {
    const terms = this.losses.filter((o) => values.has(o.name))
    return terms.length ? terms.reduce((sum, o) => sum + (o.weight ?? 1) * values.get(o.name)![0]!, 0) : NaN
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
    const plain = this.classes.apply(fields, given, learn)
    return { fields, plain, dataset: augment(plain, calls, inputs) }
  }

  /** The bundle as it lies where it was opened from. What was not needed to run it is read now; `failed` is told where it is no longer there. */
  async wholeBundle(failed: (error: Error) => void): Promise<Bundle> {
    const { bundle, whole } = this.#parts
    try {
      return await whole?.() ?? bundle
    } catch (error) {
      failed(error as Error)
      return bundle
    }
  }

  /** Gives memory back. What waits, and calls that follow, are refused. */
  close(): void {
    if (this.#queue.isClosed) return
    this.#queue.close()
    this.#tailSession.close()
    this.session.close()
    if (this.#parts.ownsDevice) this.device.close()
  }
}
