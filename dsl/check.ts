import type { Block, BlockParameter, Call, Expression, FileAst, Name, Statement } from './ast.ts'
import type { Definitions } from './definitions.ts'
import { place } from './argument-binding.ts'
import type { Reporter } from './reporter.ts'
import type { ArgumentType, Signature } from './signature.ts'
import { UnknownNames } from './unknown-names.ts'
import { assignedIn, eachExpression, eachStatement, expressionsOf } from './walk.ts'

/**
 * Checks what expansion has not seen, as far as that can be without values: names and arguments in blocks that nobody calls
 * and in branches that are not taken. Where there are no errors, warns of what is there for nothing.
 */
export function check(files: readonly FileAst[], definitions: Definitions, seen: ReadonlySet<Expression>, report: Reporter): void {
  const bodies = files.flatMap((file) => [
    ...file.blocks.map((block) => new BodyCheck(file, block, definitions, report)),
    ...file.nets.map((net) => new BodyCheck(file, { ...net, parameters: [] }, definitions, report)),
  ])
  for (const file of files) for (const { parameters } of file.blocks) duplicates(parameters.map((p) => p.name), report)
  for (const body of bodies) body.names(seen)
  if (report.failed) return
  for (const body of bodies) body.unused()
  const [main] = files
  if (!main || main.nets.length === 0) return
  const called = new Set(bodies.flatMap((body) => [...body.callees]))
  for (const { name } of main.blocks)
    if (!called.has(name.text)) report.warning('block/unused', `nothing calls block ${name.text}`, name.span)
}

function duplicates(names: readonly Name[], report: Reporter): void {
  const first = new Map<string, Name>()
  names.forEach((name) => {
    const before = first.get(name.text)
    if (!before) first.set(name.text, name)
    else report.error('name/taken', `there are two parameters ${name.text}`, name.span, {
        labels: [{ span: before.span, text: 'the other one' }],
      })
  })
}

/** One body with its own names. Order is not looked at: a name that gets a value anywhere in it is known everywhere in it. */
class BodyCheck {
  /** The calls in it. */
  readonly callees = new Set<string>()
  private readonly body: readonly Statement[]
  private readonly parameters: readonly BlockParameter[]
  private readonly definitions: Definitions
  private readonly report: Reporter
  private readonly unknown: UnknownNames
  private readonly known: ReadonlySet<string>
  private readonly read = new Set<string>()
  /** Bare words that only a value tells to be words or names (`mode: nearest`). */
  private readonly words = new Set<Expression>()
  private readonly links = new Set<Expression>()

  constructor(file: FileAst, { body, parameters }: Pick<Block, 'body' | 'parameters'>, definitions: Definitions, report: Reporter) {
    this.body = body
    this.parameters = parameters
    this.definitions = definitions
    this.report = report
    this.unknown = new UnknownNames(definitions, report)
    this.known = new Set([
      ...parameters.map((p) => p.name.text),
      ...file.constants.map((c) => c.name.text),
      ...file.broken.flatMap((b) => b.words),
      ...assignedIn(body).keys(),
    ])
    this.eachExpression((e) => this.look(e))
    // `class[cat]`: whether it is a number is known where inputs are declared, which then says more.
    eachStatement(body, (s) => {
      if (s.kind === 'input' && s.type.text === 'class') { for (const e of s.dimensions[0] ?? []) this.words.add(e) }
    })
  }

  private eachExpression(visit: (e: Expression) => void): void {
    eachStatement(this.body, (s) => {
      for (const e of expressionsOf(s)) eachExpression(e, visit)
    })
    for (const { value } of this.parameters) if (value) eachExpression(value, visit)
  }

  /** Gathers what is read and called, outer expressions before inner ones. */
  private look(e: Expression): void {
    if (e.kind === 'chain') { for (const link of e.links) this.links.add(link) }
    if (e.kind !== 'call') return
    if (e.bare && !this.links.has(e)) this.read.add(e.callee.text)
    if (this.definitions.blocks.has(e.callee.text)) this.callees.add(e.callee.text)
    const signature = this.definitions.layers.get(e.callee.text)
    if (!signature) {
      if (!this.definitions.blocks.has(e.callee.text)) {
        for (const argument of [...e.positional, ...e.named.map((n) => n.value)]) this.words.add(argument)
      }
      return
    }
    this.wordsAmong(e, signature)
  }

  private wordsAmong(call: Call, signature: Signature): void {
    const mayBeWord = ({ kind, ...type }: ArgumentType): boolean =>
      kind === 'word' || kind === 'layer' || kind === 'call' || (kind === 'window' && 'words' in type)
    const add = (e: Expression): void => {
      this.words.add(e)
      // Calls of fillers, statistics and the like are none of layers.
      if (e.kind === 'call') { for (const inner of [...e.positional, ...e.named.map((n) => n.value)]) this.words.add(inner) }
    }
    for (const { name, value } of call.named) {
      const parameter = signature.parameters.find((p) => p.name === name.text || p.aliases?.includes(name.text))
      if (!parameter || mayBeWord(parameter.type)) add(value)
    }
    if (signature.parameters.some((p) => !p.named && mayBeWord(p.type))) { for (const e of call.positional) add(e) }
  }

  /** `call/unknown`, `name/undefined`, `argument/...` */
  names(seen: ReadonlySet<Expression>): void {
    this.eachExpression((e) => {
      if (e.kind !== 'call' || this.words.has(e) || seen.has(e)) return
      const { text } = e.callee
      const signature = this.definitions.layers.get(text)
      if (signature) this.arguments(e, signature)
      else if (!this.definitions.blocks.has(text) && !this.definitions.unread.has(text) && !this.known.has(text)) {
        if (!this.links.has(e) && e.bare) this.unknown.value(e.callee, this.body, this.known)
        else if (!this.definitions.incomplete)
          this.unknown.callable(
            e,
            (inner) => inner.kind === 'chain' || (inner.kind === 'call' && (!inner.bare || this.known.has(inner.callee.text))),
          )
      }
    })
  }

  /** Checks the arguments of a call. The number of tensors in front is known where a signature leaves no choice. */
  private arguments(call: Call, signature: Signature): void {
    const { min, max } = signature.values ?? { min: 1, max: 1 }
    const tensors = min === max ? Math.max(0, min - (this.links.has(call) ? 1 : 0)) : call.positional.length
    if (call.positional.slice(0, tensors).some((e) => e.kind === 'number' || e.kind === 'list' || e.kind === 'string')) return
    place(signature, { ...call, positional: call.positional.slice(tensors) }, this.report, min !== max)
  }

  unused(): void {
    for (const { name: { text, span } } of this.parameters)
      if (!this.read.has(text)) this.report.warning('name/unused', `nothing reads the parameter ${text}`, span)
    eachStatement(this.body, (s) => {
      // The compiler, which sees the whole graph, warns of layers whose result nobody reads. Inputs may be there for a sibling's sake.
      if (s.kind === 'let' && !this.read.has(s.name.text) && !holdsCall(s.value))
        this.report.warning('name/unused', `nothing reads ${s.name.text}`, s.name.span)
    })
  }
}

function holdsCall(e: Expression): boolean {
  let found = false
  eachExpression(e, (inner) => {
    found ||= inner.kind === 'chain' || inner.kind === 'if' || (inner.kind === 'call' && !inner.bare)
  })
  return found
}
