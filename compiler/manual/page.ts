/**
 * The page of a call, beside its signature: for `fusenet help`, `docs/language` and nobody who compiles. Names, arguments, defaults and
 * bounds are the signature's; tests hold the two together.
 */
export interface ManualPage {
  /** Shapes of what it reads and gives, `n` the batch. */
  readonly shape?: string
  /** Learned and kept numbers by their names in files. */
  readonly parameters?: readonly string[]
  /** The equations that it computes, one a line. */
  readonly formula?: readonly string[]
  /** The gradient, `dy` that of the result. */
  readonly gradient?: readonly string[]
  /** What holds where an optional argument is not given and the signature has no default: it stands behind the argument. */
  readonly absent?: Readonly<Record<string, string>>
  /** The body of a net that uses it, or the lines of a train block. */
  readonly example: readonly string[]
  /** The shape of the pictures of an example that is lines of a train block. Default 3, 32, 32. */
  readonly picture?: string
  readonly notes?: readonly string[]
  /** Other names that belong to it. */
  readonly see?: readonly string[]
}

/** Pages by the name of the signature. */
export type Pages = Readonly<Record<string, ManualPage>>

/** Calls that are told together. */
export interface Group {
  readonly title: string
  /** `docs/language/FILE.md` */
  readonly file: string
  readonly intro: string
  readonly pages: Pages
}
