/**
 * The calls that a `.net` file may hold, as data. The language knows no layer by name: the compiler's operator table hands
 * in a `Vocabulary`, and checker and evaluator turn each call's arguments into `Attributes` by it.
 */

export type ArgumentType =
  /** `integer` and `number` may be bounded (inclusive). */
  | { readonly kind: 'integer'; readonly min?: number; readonly max?: number }
  /** `above` and `below` bound it too, and are not reached, in float32 either. */
  | { readonly kind: 'number'; readonly min?: number; readonly max?: number; readonly above?: number; readonly below?: number }
  | { readonly kind: 'boolean' }
  /**
   * `3` or `[3, 5]` (height, width): evaluates to two integers. A word of `words` (`same`) is allowed in its place. With `sides`, so are four
   * integers, [top, bottom, left, right]: they evaluate to two where both halves are equal.
   */
  | { readonly kind: 'window'; readonly min?: number; readonly words?: readonly string[]; readonly sides?: true }
  /** One of several words: evaluates to a string. */
  | { readonly kind: 'word'; readonly words: readonly string[] }
  /** `[1, 2, 3]`; a lone number counts as a list of one. `length` fixes how many, or `most` bounds that, of which there is one then; `min` bounds each. */
  | { readonly kind: 'numbers'; readonly integer?: boolean; readonly length?: number; readonly most?: number; readonly min?: number }
  | { readonly kind: 'string' }
  /** `moving(newest: 0.95)`, or a bare word for a call without arguments: evaluates to an `AttributeCall`. */
  | { readonly kind: 'call'; readonly calls: readonly Signature[] }
  /** The name of another layer (`weights: conv1`): evaluates to that layer's full name. */
  | { readonly kind: 'layer' }
  /** A further tensor by name (`mask: m`): evaluates to nothing here, it is appended to the layer's `inputs`. */
  | { readonly kind: 'value' }
  /** `500`, `500 steps`, `2 epochs`: evaluates to a `Duration`. `min` bounds its count. */
  | { readonly kind: 'duration'; readonly min?: number; readonly above?: number }
  /** `[500, 2 epochs]`, or one of them: evaluates to a list, where a number counts steps. */
  | { readonly kind: 'durations'; readonly min?: number }

export interface Parameter {
  readonly name: string
  readonly type: ArgumentType
  /** The value where none is given. Absent: one must be given, unless `optional`. */
  readonly default?: Attribute
  /** The value by which it does nothing, where one must be given: for `hint`s. */
  readonly idle?: number
  /** May be left out; then the attribute is absent. */
  readonly optional?: boolean
  /** Other names that files may use (Dragon's `decay` for `newest`). */
  readonly aliases?: readonly string[]
  /** Whether it is given only by name, never by position. */
  readonly named?: boolean
  /** One line for `hint`s and documentation. */
  readonly doc?: string
}

export interface Signature {
  readonly name: string
  /**
   * The number of tensors that it takes (a `->` chain gives the first). Default: exactly one for layers, none elsewhere. `numbers`: a number
   * may stand in the place of a tensor, as long as there is one; then no other argument stands by position. See `NUMBERS`. `names`: what usage
   * calls them, where they are not alike.
   */
  readonly values?: { readonly min: number; readonly max: number; readonly numbers?: true; readonly names?: readonly string[] }
  /** The parameters in the order of positional arguments, which come after the tensors. */
  readonly parameters: readonly Parameter[]
  readonly doc: string
  /** The place where a layer of this kind may stand. Default `layer`. */
  readonly role?: 'layer' | 'loss' | 'metric'
  /** Arguments that are refused for a reason, and what to write instead: `{ momentum: 'say newest: ...' }`. */
  readonly mends?: Readonly<Record<string, string>>
  /** Its names in other frameworks. */
  readonly elsewhere?: readonly Synonym[]
}

/** What usage calls the tensors of a call that takes several: `a, b`, or the names that its signature has for them. */
export const tensorNames = ({ values }: Signature): readonly string[] =>
  values?.names ?? Array.from({ length: Math.min(values?.min ?? 1, 8) }, (_, i) => 'abcdefgh'[i]!)

/** The name of a call in another framework, and what is written here: by default the signature that it belongs to, its arguments by their names here. */
export interface Synonym {
  /**
   * The name as the other framework spells it. Of two names that differ only in case and underscores, the first is meant where neither is
   * spelled exactly.
   */
  readonly name: string
  /** The other framework: `Keras`. */
  readonly of: string
  /** The names of its arguments by position there. Absent: as here. */
  readonly positions?: readonly string[]
  /** The least number of arguments by position: with fewer it is another framework's. */
  readonly least?: number
  /** Arguments that are translated otherwise than everybody's: to what they are called here, or to arguments here. */
  readonly arguments?: Readonly<
    Record<string, string | ((value: string, given: ReadonlyMap<string, string>) => Readonly<Record<string, string | undefined>>)>
  >
  /** Its defaults there, and the arguments that say the same here. */
  readonly defaults?: Readonly<Record<string, string>>
  /** Chooses by the arguments which of several calls here is meant: `PROD` of an `Eltwise` is `mul`. */
  readonly as?: (given: ReadonlyMap<string, string>) => string
  /** All that is written here, whatever its arguments. */
  readonly write?: string
  /** There is nothing like it here: why, and what to do instead. */
  readonly none?: string
  /** Other differences, in words. */
  readonly note?: string
}

export interface Vocabulary {
  readonly layers: readonly Signature[]
  readonly solvers: readonly Signature[]
  readonly schedules: readonly Signature[]
  readonly augmentations: readonly Signature[]
  readonly datasets: readonly Signature[]
}

export interface AttributeCall {
  readonly call: string
  readonly args: Attributes
}

export interface Duration {
  readonly count: number
  readonly unit: 'steps' | 'epochs'
}

export type Attribute = number | boolean | string | readonly (number | Duration)[] | AttributeCall | Duration
/** Evaluated arguments by parameter name; defaults filled in; optional ones that were left out are absent. */
export type Attributes = Readonly<Record<string, Attribute>>

/** The attributes that hold the numbers among a layer's operands, and their places among all operands. Absent where all are tensors. */
export const NUMBERS = { values: 'numbers', places: 'numbers_at' } as const
