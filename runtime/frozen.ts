import { InputError } from '../bundle/errors.ts'
import type { Manifest, Plan } from '../bundle/format.ts'
import { BINDING_ELEMENTS } from '../bundle/layout.ts'
import { matchNames } from '../bundle/name-patterns.ts'
import { list } from '../bundle/options.ts'
import { say } from '../bundle/plain.ts'
import type { TrainStats } from '../bundle/programs.ts'

/** Elements of `parameters` that share a pair of multipliers, lr_mult and decay_mult, in the buffer of that name. */
const BLOCK = BINDING_ELEMENTS
const MULTIPLIERS = 'constants.multipliers'

/** The parameters of a net that do not learn: those that it was compiled without training for, and those that `net.freeze` adds. */
export class Frozen {
  readonly #manifest: Manifest
  #names: ReadonlySet<string> = new Set()

  constructor(manifest: Manifest) {
    this.#manifest = manifest
  }

  /** Names of all of it, in the order of the net. */
  get names(): readonly string[] {
    return this.#manifest.parameters.filter((p) => p.frozen || this.#names.has(p.name)).map(({ name }) => name)
  }

  /** Names of what it was compiled without. */
  get compiled(): readonly string[] {
    return this.#manifest.parameters.filter((p) => p.frozen).map(({ name }) => name)
  }

  /** Names of what was frozen since. */
  get added(): ReadonlySet<string> {
    return this.#names
  }

  /**
   * The parameters that patterns select. Throws InputError for a pattern that selects none, and where no parameter would be left to
   * learn.
   */
  match(patterns: readonly string[]): ReadonlySet<string> {
    const [fits, wanted] = list
    if (!fits(patterns)) throw new InputError(`freeze takes ${wanted}, ['conv*'], not ${say(patterns)}`)
    const { parameters } = this.#manifest
    const { names, problems } = matchNames(patterns, parameters.map(({ name }) => name))
    for (const { layer } of this.#layers()) {
      const [mean, variance] = [`${layer}.running_mean`, `${layer}.running_var`].map((name) => names.has(name))
      if (mean !== variance)
        problems.push(
          `of ${layer} the running ${
            mean ? 'mean is frozen and the variance' : 'variance is frozen and the mean'
          } is not: freeze both, ${layer}.running_*`,
        )
    }
    if (problems.length > 0) throw new InputError(problems.map((problem) => `freeze: ${problem}`).join('\n'))
    if (names.size > 0 && !parameters.some((p) => p.trainable && !names.has(p.name)))
      throw new InputError("freeze: nothing would be left to learn; '!NAME' behind the others leaves a layer out")
    return names
  }

  set(names: ReadonlySet<string>): void {
    this.#names = names
  }

  /** The multipliers of the solver, with zeros for what is frozen: such elements it leaves as they are. Undefined where no program updates. */
  multipliers({ buffers, tensors }: Plan): readonly [tensor: number, values: Float64Array] | undefined {
    const buffer = buffers.findIndex(({ name }) => name === MULTIPLIERS)
    const tensor = tensors.findIndex((t) => t.buffer === buffer)
    if (buffer < 0 || tensor < 0) return undefined
    const values = Float64Array.from(
      (buffers[buffer]!.data ?? []).flatMap(({ times, values }) => Array.from({ length: times }, () => values).flat()),
    )
    for (const { name, offset, shape, trainable } of this.#manifest.parameters) {
      const size = shape.reduce((product, dim) => product * dim, 1)
      if (trainable && this.#names.has(name)) values.fill(0, 2 * (offset / BLOCK), 2 * Math.ceil((offset + size) / BLOCK))
    }
    return [tensor, values]
  }

  /**
   * The statistics that training normalizes with. A layer whose running statistics are frozen normalizes with those, and a compiled program does so
   * in all layers or in none. Throws InputError where that cannot be.
   */
  stats(asked: TrainStats | undefined): TrainStats | undefined {
    if (asked === 'global') return asked
    const layers = this.#layers()
    const frozen = layers.filter(({ layer }) => this.#names.has(`${layer}.running_mean`))
    if (frozen.length === 0) return asked
    if (asked === undefined && frozen.length === layers.length) return 'global'
    const others = layers.filter((layer) => !frozen.includes(layer))
    throw new InputError(
      `freeze keeps the running statistics of ${named(frozen)}, so these normalize with them, ${
        asked === 'batch' ? "and stats: 'batch' is asked for" : `and ${named(others)} with those of each batch`
      }: `
        + `a compiled program does one or the other. Train with stats: 'global', compile with freeze: [...], or freeze weights alone: '${
          frozen[0]!.layer
        }.gamma'`,
    )
  }

  /** The normalization layers whose statistics follow each batch. */
  #layers(): readonly { readonly layer: string }[] {
    return (this.#manifest.normalizations ?? []).filter(({ stats }) => stats !== 'global')
  }
}

const named = (layers: readonly { readonly layer: string }[]): string =>
  layers.slice(0, 4).map(({ layer }) => layer).join(', ') + (layers.length > 4 ? ` and ${layers.length - 4} more` : '')
