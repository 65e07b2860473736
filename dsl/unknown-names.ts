import type { Call, Expression, Name, Statement } from './ast.ts'
import type { Definitions } from './definitions.ts'
import { callMend } from './elsewhere.ts'
import { didYouMean, nearest } from './fix-hints.ts'
import type { Reporter } from './reporter.ts'
import type { Span } from './source.ts'
import { assignedIn } from './walk.ts'

/** Words that statements begin with: `ouput o = ...` reads as a value `ouput` and an assignment. */
const KEYWORDS = ['input', 'output', 'loss', 'metric', 'style', 'return']

/** Words of other languages, and how what they begin is written here. */
const WORDS_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ...['def', 'function', 'func', 'fn', 'class'].map((word) =>
    [word, 'what is used several times is a block beside the net: block NAME(...) { ... }'] as const
  ),
  ...['let', 'const', 'var', 'val'].map((word) => [word, `a value is given without '${word}': NAME = ...`] as const),
  ...['Sequential', 'sequential'].map((word) => [word, "layers follow each other behind '->': x -> conv(16, 3) -> relu"] as const),
  ['range', 'numbers in a row are written 0..3, which is 0, 1, 2'],
  ['while', 'a loop has a number of rounds that is known: for i in 0..3 { ... }'],
  ['print', 'fusenet summary and fusenet inspect show what a net is'],
])

/** Whether a word stands for the batch, in front of sizes: `f32[n, 3, 8, 8]`, `reshape([batch, 10])`. */
const isBatch = (text: string, { source, start }: Span): boolean =>
  /^(n|b|bs|none|batch|batch_?size)$/i.test(text) && /\[\s*$/.test(source.text.slice(0, start))

/** Tells the errors about names that nothing has, with what was likely meant. */
export class UnknownNames {
  private readonly definitions: Definitions
  private readonly report: Reporter
  /** The names that a body gives values to, and where. */
  private readonly assigned = new Map<readonly Statement[], ReadonlyMap<string, Span>>()

  constructor(definitions: Definitions, report: Reporter) {
    this.definitions = definitions
    this.report = report
  }

  /** A layer or block is expected. */
  callable(call: Call, isTensor?: (e: Expression) => boolean): undefined {
    const { layers, blocks } = this.definitions
    const name = call.callee
    return this.report.error('call/unknown', `there is no layer or block ${name.text}`, name.span, {
      hint: () => WORDS_ELSEWHERE.get(name.text) ?? callMend(call, layers.values(), [...layers.keys(), ...blocks.keys()], isTensor),
      group: name.text,
    })
  }

  /** A value is expected in a body; `values`: the names of those that there are. */
  value({ text, span }: Name, body: readonly Statement[], values: Iterable<string>): undefined {
    const { layers, blocks } = this.definitions
    const given = this.assigned.get(body) ?? assignedIn(body)
    this.assigned.set(body, given)
    const elsewhere = given.get(text)
    return this.report.error('name/undefined', `${text} has no value here`, span, {
      hint: () => (elsewhere ? undefined
        : /^(True|False)$/i.test(text) ? didYouMean(text.toLowerCase())
        : isBatch(text, span) ? 'the batch is implied, and left out'
        : WORDS_ELSEWHERE.has(text) ? WORDS_ELSEWHERE.get(text)
        : nearest(text, [...values, ...layers.keys(), ...blocks.keys(), ...KEYWORDS])),
      labels: elsewhere &&
        [{
          span: elsewhere,
          text: elsewhere.start > span.start ? 'gets its value later' : 'gets a value only here, where this was not run',
        }],
      group: `${text} ${body[0]?.span.start ?? 0} ${span.source.file}`,
    })
  }
}
