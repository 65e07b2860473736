import type { Source } from '../../dsl/source.ts'
import { InputError } from '../../bundle/errors.ts'
import { batchRule, call, checkOptions, flag, list, oneOf, type Rule, text, thing } from '../../bundle/options.ts'
import { say } from '../../bundle/plain.ts'
import type { CompileOptions, InspectOptions } from '../compile.ts'

const RULES: Readonly<Record<keyof CompileOptions, Rule>> = {
  file: text,
  style: oneOf('merged', 'split'),
  memory: oneOf('fast', 'small'),
  precise: flag,
  readImport: call,
  programs: list,
  targets: list,
  storage: oneOf('f32', 'f16'),
  software: flag,
  freeze: list,
  without: list,
  schedules: thing,
  normalize: flag,
  batch: batchRule,
  allowOneValue: flag,
  watch: call,
}

/** Throws InputError for options that there are not, for values that mean nothing, and for what is no text. `of`: whose they are. */
export function checkCompile(of: string, source: string | Source, options: CompileOptions | undefined): void {
  const { file, text } = (typeof source === 'string' ? { file: '', text: source } : source ?? {}) as Partial<Source>
  if (typeof text !== 'string' || typeof file !== 'string')
    throw new InputError(`${of} takes the text of a net, or { file, text }; here is ${say(source)}`)
  checkOptions(of, options, RULES)
}

/** The same of `inspect`. */
export function checkInspect(source: string | Source, options: InspectOptions | undefined): void {
  const { target: _, ...rest } = checkOptions('inspect', options, { ...RULES, target: text })
  checkCompile('inspect', source, rest)
}
