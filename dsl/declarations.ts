import type { Expression, InputStatement, Name, Statement } from './ast.ts'
import { nearest } from './fix-hints.ts'
import type { InputDeclaration, NamedValue, Program } from './program.ts'
import { isReserved, reserved } from './naming.ts'
import type { Reporter } from './reporter.ts'
import type { Span } from './source.ts'
import { describe, type Evaluated } from './values.ts'

type Statements<K extends Statement['kind']> = Extract<Statement, { kind: K }>
interface Size {
  readonly value: Evaluated | undefined
  readonly span: Span
}

const MOST_SIZE = 2 ** 31 - 1
/** The most letters in the name of a class: as many as in the name of a file. */
const MOST_LETTERS = 255

/** The declarations of a net: style, inputs, outputs, losses, metrics. */
export class Declarations {
  private readonly report: Reporter
  private readonly inputs: InputDeclaration[] = []
  private readonly inputNamed = new Map<string, InputDeclaration>()
  private readonly results = { output: [] as NamedValue[], loss: [] as NamedValue[], metric: [] as NamedValue[] }
  private unnamed = 0
  private styled: { readonly word: 'merged' | 'split'; readonly span: Span } | undefined

  constructor(report: Reporter) {
    this.report = report
  }

  made(): Pick<Program, 'style' | 'inputs' | 'outputs' | 'losses' | 'metrics'> {
    return {
      ...(this.styled && { style: this.styled.word }),
      inputs: this.inputs,
      outputs: this.results.output,
      losses: this.results.loss,
      metrics: this.results.metric,
    }
  }

  style({ word, span }: Statements<'style'>): void {
    if (word.text !== 'merged' && word.text !== 'split') {
      this.report.error('style/unknown', `there is no style ${word.text}`, word.span, {
        hint: nearest(word.text, ['merged', 'split']) ?? 'style merged, or style split',
      })
    } else if (this.styled)
      this.report.error('style/twice', 'a net has one style', span, {
        text: 'again',
        labels: [{ span: this.styled.span, text: 'said here' }],
      })
    else this.styled = { word: word.text, span }
  }

  /** Whether it is one. */
  input(s: InputStatement, sizes: readonly (readonly Size[])[]): boolean {
    const { text: name, span } = s.name
    const before = this.inputNamed.get(name)
    if (isReserved(name)) return this.wrong('name/reserved', reserved(name), span, 'choose another name')
    if (before)
      return this.wrong('name/taken', `there are two inputs ${name}`, span, undefined, [{ span: before.span, text: 'the other one' }])
    const numbers = sizes.map((list) => list.map((size) => this.size(size)))
    if (s.type.text !== 'f32' && s.type.text !== 'class') {
      return this.wrong(
        'input/type',
        `there is no type ${s.type.text}`,
        s.type.span,
        nearest(s.type.text, ['f32', 'class']) ?? 'f32[1, 28, 28] holds numbers, class[10] a label',
      )
    }
    const [first, second] = numbers
    if (s.type.text === 'f32' && (!first || second))
      return this.wrong('input/shape', `the shape of ${name} is one list`, s.span, `input ${name}: f32[1, 28, 28]`)
    if (s.type.text === 'class' && (s.classNames ? numbers.length > 1 : first?.length !== 1 || numbers.length > 2)) {
      return this.wrong(
        'input/classes',
        `a label says how many classes there are, or what they are called`,
        s.span,
        `input ${name}: class[10], or class[cat, dog]; class[10][32, 32] for a label a pixel`,
      )
    }
    if (s.classNames && !this.areNames(s.classNames)) return false
    if (!numbers.every((list): list is number[] => list.every((n) => n !== undefined))) return false
    const declared = { name, batched: !s.whole, span: s.span }
    const names = s.classNames?.map((n) => n.text)
    this.inputs.push(
      s.type.text === 'f32' ? { ...declared, type: 'f32', shape: numbers[0]! }
        : names ? { ...declared, type: 'class', classes: names.length, classNames: names, shape: numbers[0] ?? [] }
        : { ...declared, type: 'class', classes: numbers[0]![0]!, shape: numbers[1] ?? [] },
    )
    this.inputNamed.set(name, this.inputs.at(-1)!)
    return true
  }

  /** Whether what stands in brackets can be sizes. Tells of names of classes that are none: a single one, or some among numbers. */
  areSizes({ name, type, classNames, dimensions: [items = []] }: InputStatement, isKnown: (word: string) => boolean): boolean {
    if (type.text !== 'class' || classNames) return true
    const isName = (e: Expression): boolean =>
      e.kind === 'string' || e.kind === 'boolean' || (e.kind === 'call' && e.bare && (items.length > 1 || !isKnown(e.callee.text)))
    const named = items.find(isName)
    if (!named) return true
    const text = named.span.source.text.slice(named.span.start, named.span.end)
    if (items.length === 1) {
      return this.wrong(
        'input/one-class',
        `one class, ${text}, leaves nothing to tell apart`,
        named.span,
        `two names or more, class[${text}, ...], or how many there are: input ${name.text}: class[10]`,
      )
    }
    const other = items.find((item) => !isName(item))!
    const number = other.span.source.text.slice(other.span.start, other.span.end)
    return this.wrong(
      'input/class-names',
      'the classes of a label are counted or named, not both',
      other.span,
      /^\d+$/.test(number) ? `a class that is called ${number} is written "${number}"` : 'names that are no words stand in quotes',
      [{ span: named.span, text: 'a name' }],
    )
  }

  private areNames(names: readonly Name[]): boolean {
    const seen = new Map<string, Span>()
    let fine = true
    for (const { text, span } of names) {
      const before = seen.get(text)
      if (text.trim() === '') fine = this.wrong('input/class-names', 'a class without a name', span)
      else if (text.length > MOST_LETTERS)
        fine = this.wrong('input/class-names', `the name of a class has at most ${MOST_LETTERS} letters, not ${text.length}`, span)
      else if (/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(text))
        fine = this.wrong('input/class-names', 'the name of a class holds a control character', span)
      else if (before)
        fine = this.wrong('input/class-twice', `there are two classes ${text}`, span, undefined, [{ span: before, text: 'the other one' }])
      else seen.set(text, span)
    }
    return fine
  }

  private wrong(code: string, message: string, span: Span, hint?: string, labels: { span: Span; text: string }[] = []): false {
    this.report.error(code, message, span, { hint, labels })
    return false
  }

  private size({ value, span }: Size): number | undefined {
    if (!value || (value.kind === 'number' && Number.isInteger(value.value) && value.value > 0 && value.value <= MOST_SIZE))
      return value?.value
    return this.report.error('input/size', `a size is a positive integer, not ${describe(value)}`, span, {
      hint: value.kind === 'number' && value.value === -1 ? 'the batch is implied, and left out' : undefined,
    })
  }

  /** Unnamed losses are called loss, loss_2, ... That names of results are different is seen to where the graph is built. */
  result(s: Statements<'result'>, value: Evaluated | undefined): void {
    const { role } = s
    if (!s.name && role !== 'loss') {
      this.report.error('result/name', `${role === 'output' ? 'an' : 'a'} ${role} has a name`, s.span, { hint: `${role} NAME = ...` })
      return
    }
    const list = this.results[role]
    if (!s.name) this.unnamed++
    const name = s.name?.text ?? (this.unnamed === 1 ? 'loss' : `loss_${this.unnamed}`)
    if (isReserved(name)) this.report.error('name/reserved', reserved(name), s.name?.span ?? s.span, { hint: 'choose another name' })
    else if (value?.kind === 'tensor') list.push({ name, value: value.ref, span: s.span })
    else if (value)
      this.report.error('result/kind', `${s.name ? `${role} ${name}` : `a ${role}`} is a tensor, not ${describe(value)}`, s.value.span, {
        hint: role === 'loss' ? 'e.g. loss = softmax_loss(scores, label)' : undefined,
      })
  }
}
