import type { Span } from './source.ts'

/** A file as it is written: what a text says before anything is evaluated. Every node knows its place. */
export interface FileAst {
  readonly span: Span
  readonly imports: readonly Import[]
  readonly constants: readonly Let[]
  readonly blocks: readonly Block[]
  readonly nets: readonly Net[]
  readonly trains: readonly Train[]
  /** The parts between these that could not be parsed. */
  readonly broken: readonly Broken[]
}

/** A stretch of text that could not be parsed: an error was told about it. What its words stand for is unknown. */
export interface Broken {
  readonly kind: 'broken'
  readonly words: readonly string[]
  /** Words of it that are given a value: `x` in `x = conv(3`. */
  readonly assigned: readonly string[]
  readonly span: Span
}

export interface Name {
  readonly text: string
  readonly span: Span
}

export interface Import {
  readonly path: string
  readonly span: Span
}

export interface Block {
  readonly name: Name
  readonly parameters: readonly BlockParameter[]
  readonly body: readonly Statement[]
  readonly span: Span
}

export interface BlockParameter {
  readonly name: Name
  readonly value?: Expression
}

export interface Net {
  readonly name: Name
  readonly body: readonly Statement[]
  readonly span: Span
}

export interface Train {
  readonly entries: readonly TrainEntry[]
  readonly broken: readonly Broken[]
  readonly span: Span
}

export interface TrainEntry {
  readonly key: Name
  /** `snapshot every 2 epochs`; `every epoch` is every 1 epoch. */
  readonly every: boolean
  /** Several for `augment mirror, crop(28)`. A chain for `schedule warmup(500) -> cosine`. */
  readonly values: readonly Expression[]
  readonly span: Span
}

export type Statement =
  | { readonly kind: 'style'; readonly word: Name; readonly span: Span }
  | InputStatement
  /** `output prob = ...`, `loss = ...`, `metric accuracy = ...` */
  | {
    readonly kind: 'result'
    readonly role: 'output' | 'loss' | 'metric'
    readonly name?: Name
    readonly value: Expression
    readonly span: Span
  }
  | Let
  | { readonly kind: 'expression'; readonly value: Expression; readonly span: Span }
  | {
    readonly kind: 'for'
    readonly variable: Name
    readonly counter?: Name
    readonly over: Expression
    readonly body: readonly Statement[]
    readonly span: Span
  }
  | { readonly kind: 'return'; readonly value: Expression; readonly span: Span }
  | Broken

export interface Let {
  readonly kind: 'let'
  readonly name: Name
  readonly value: Expression
  readonly span: Span
}

export interface InputStatement {
  readonly kind: 'input'
  readonly name: Name
  readonly type: Name
  /** `class[cat, dog, "sea lion"]`: the first list, where it holds two names or more and nothing else. */
  readonly classNames?: readonly Name[]
  /** `[10][32, 32]`: two lists, without that of names. */
  readonly dimensions: readonly (readonly Expression[])[]
  readonly whole: boolean
  readonly span: Span
}

export type Expression =
  | { readonly kind: 'number'; readonly value: number; readonly span: Span }
  | { readonly kind: 'string'; readonly value: string; readonly span: Span }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly span: Span }
  | List
  | { readonly kind: 'range'; readonly from: Expression; readonly to: Expression; readonly span: Span }
  | { readonly kind: 'unary'; readonly op: '-' | 'not'; readonly operand: Expression; readonly span: Span }
  | { readonly kind: 'binary'; readonly op: string; readonly left: Expression; readonly right: Expression; readonly span: Span }
  /** `1 epoch`, `500 steps` */
  | { readonly kind: 'duration'; readonly count: Expression; readonly unit: 'steps' | 'epochs'; readonly span: Span }
  | If
  | Call
  /** `x -> conv(20, 5) -> relu`: each call's first tensor is what stands before it. */
  | { readonly kind: 'chain'; readonly head: Expression; readonly links: readonly Call[]; readonly span: Span }

export interface List {
  readonly kind: 'list'
  readonly items: readonly Expression[]
  readonly span: Span
}

/** `else if` is an `else` whose only statement is an `if`. */
export interface If {
  readonly kind: 'if'
  readonly condition: Expression
  readonly yes: readonly Statement[]
  readonly no?: readonly Statement[]
  readonly span: Span
}

export interface NamedArgument {
  readonly name: Name
  readonly value: Expression
  readonly span: Span
}

/** `conv(x, 20, 5, pad: 1) as conv1`; a bare `relu`, which may also be the name of a value: `bare`. */
export interface Call {
  readonly kind: 'call'
  readonly callee: Name
  readonly bare: boolean
  readonly positional: readonly Expression[]
  readonly named: readonly NamedArgument[]
  readonly as?: NameTemplate
  readonly span: Span
}

/** `stage{i}_{j}`: what stands in braces is known at compile time. */
export interface NameTemplate {
  readonly parts: readonly (string | Expression)[]
  readonly span: Span
}
