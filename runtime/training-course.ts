import type { Dataset } from './data/dataset.ts'
import { dataIdentity, NO_COURSE, refuseContradictions, sameData } from './identity.ts'
import { type Course, type DataIdentity, identityOf, namesOf, type TrainingIdentity } from '../bundle/training-identity.ts'
import type { Manifest } from '../bundle/format.ts'
import type { Frozen } from './frozen.ts'
import type { TrainStats } from '../bundle/programs.ts'

/** Over which data a net is being trained, since when, and whether a snapshot said so: what its training's identity has beyond the file. */
export class TrainingCourse {
  readonly #manifest: Manifest
  readonly #batch: number
  readonly #frozen: Frozen
  #course: Course & { readonly data: DataIdentity; readonly restored?: boolean } | undefined
  /** The update at which the next data begin, if not the one that the net is at. */
  #from: number | undefined

  constructor(manifest: Manifest, batch: number, frozen: Frozen) {
    this.#manifest = manifest
    this.#batch = batch
    this.#frozen = frozen
  }

  /** The identity of this training; it contains the data once the training began. */
  get identity(): TrainingIdentity {
    return identityOf(this.#manifest, this.#batch, this.#course ?? { frozen: namesOf(this.#frozen.names) })
  }

  /** Throws InputError where a snapshot is of a training that differs in more than its data. */
  refuseOther(identity: TrainingIdentity | undefined): void {
    if (!identity) return
    // What was compiled without cannot have learned; what is frozen besides, `train` asks.
    const there = new Set(identity.frozen?.split(', '))
    const { compiled } = this.#frozen
    refuseContradictions({ ...this.identity, ...NO_COURSE, frozen: namesOf(compiled) }, {
      ...identity,
      ...NO_COURSE,
      frozen: namesOf(compiled.filter((name) => there.has(name))),
    })
  }

  /** Goes on as a snapshot says. One that was made by hand does not say what it went over: then its epochs count from the start. */
  restore(identity: TrainingIdentity | undefined): void {
    this.#course = identity?.data
      ? { data: identity.data, stats: identity.stats, augmented: identity.augmented, frozen: identity.frozen, restored: true } : undefined
    this.#from = identity ? undefined : 0
  }

  reset(): void {
    this.#course = undefined
    this.#from = undefined
  }

  /**
   * Begins a training. Where it goes on from a snapshot, the data must be those of the snapshot, else InputError; other data than before
   * begin anew at update `at`. `fields`: the fields of the dataset that are read.
   */
  async begin(
    dataset: Dataset,
    fields: readonly string[],
    { stats, augment }: { readonly stats?: TrainStats; readonly augment?: boolean },
    at: () => number,
  ): Promise<DataIdentity> {
    const found = await dataIdentity(dataset, fields)
    const course = this.#course
    const changes = (this.#manifest.train?.augment ?? []).length > 0
    const frozen = namesOf(this.#frozen.names)
    const said = {
      ...(stats === 'global' && { stats }),
      ...(changes && augment === false && { augmented: augment }),
      ...(frozen && { frozen }),
    }
    if (course) {
      const data = { ...found, from: course.data.from }
      if (course.restored) refuseContradictions({ ...this.identity, ...NO_COURSE, ...said, data }, this.identity)
      // A sample that is never the same says nothing: what was said first is kept.
      if (sameData(data, course.data)) {
        this.#course = { data: course.data, ...said }
        return course.data
      }
    }
    const data = { ...found, from: this.#from ?? at() }
    this.#course = { data, ...said }
    this.#from = undefined
    return data
  }
}
