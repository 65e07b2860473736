import type { Diagnostic } from '../dsl/diagnostic.ts'
import type { Source } from '../dsl/source.ts'
import { checkCompile, type CompileOptions } from './compile-options.ts'
import { frontEnd } from './front-end/front-end.ts'

/** Errors and warnings of a text; nothing else. A file of its own, so that who checks does not load what generates code. */
export function check(source: string | Source, options: CompileOptions = {}): readonly Diagnostic[] {
  checkCompile('check', source, options)
  return frontEnd(source, options).diagnostics
}
