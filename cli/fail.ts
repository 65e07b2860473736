import type { Diagnostic } from '../dsl/diagnostic.ts'
import { DeviceError } from '../bundle/device.ts'
import { BundleError, InputError, NonFiniteError } from '../bundle/errors.ts'
import { fileError } from '../runtime/loading/file-error.ts'
import { drawDiagnostics, plainDiagnostic } from './diagnostics.ts'
import { EXIT, UsageError } from './exit.ts'
import type { Screen } from './screen.ts'

export type Failure =
  | { readonly kind: 'usage'; readonly message: string }
  | { readonly kind: 'thrown'; readonly error: unknown }

/** Tells what went wrong, for people on standard error or for machines as JSON, and gives the exit code. */
export function fail(screen: Screen, failure: Failure): number {
  const { red, bold, dim } = screen.noteColors
  const say = (code: number, message: string, more: object = {}): number => {
    screen.result({ error: { message, exitCode: code, ...more } })
    if (!screen.json) screen.note(`${bold(red('error:'))} ${message}`)
    return code
  }
  if (failure.kind === 'usage') return say(EXIT.usage, failure.message)

  const { error } = failure
  const diagnostics = diagnosticsOf(error)
  if (diagnostics) {
    screen.result({ error: { message: 'the program has errors', exitCode: EXIT.input, diagnostics: diagnostics.map(plainDiagnostic) } })
    if (!screen.json) screen.note(drawDiagnostics(diagnostics, screen))
    return EXIT.input
  }
  if (error instanceof UsageError) return say(EXIT.usage, error.message)
  if (error instanceof DeviceError) return say(EXIT.device, error.message)
  if (error instanceof BundleError) return say(EXIT.input, error.message, { problems: error.problems })
  if (error instanceof NonFiniteError) {
    const { step, rate, loss, layer, done, lastFiniteLoss } = error
    return say(EXIT.input, error.message, {
      step,
      done,
      rate,
      loss: String(loss),
      ...(layer !== undefined && { layer }),
      ...(lastFiniteLoss !== undefined && { lastFiniteLoss }),
    })
  }
  const imported = problemsOf(error, 'ImportError')
  if (imported) return say(EXIT.input, `this model cannot be imported:\n${indented((error as Error).message)}`, { problems: imported })
  const exported = problemsOf(error, 'ExportError')
  if (exported) return say(EXIT.input, `this net cannot be exported:\n${indented((error as Error).message)}`, { problems: exported })
  if (error instanceof InputError) return say(EXIT.input, error.message)
  const environment = environmentsOwn(error)
  if (environment) return say(EXIT.input, environment.message)
  const fault = error instanceof Error ? error : new Error(String(error))
  const code = say(EXIT.input, `${fault.message}\nThis is a fault of fusenet, not of the input: please report it with the lines below.`, {
    internal: true,
  })
  if (!screen.json) screen.note(dim(fault.stack ?? ''))
  return code
}

/** Errors of the system that nobody on the way gave a name to: they are no fault of fusenet either. */
function environmentsOwn(error: unknown): InputError | undefined {
  if (error instanceof RangeError && /^Array buffer allocation failed|^Invalid typed array length|out of memory/i.test(error.message))
    return new InputError(`there is not enough memory for this (${error.message})`)
  const { path = 'a file', syscall = '' } = (error ?? {}) as NodeJS.ErrnoException
  return fileError(error, path, /^(open|read|scandir|l?stat|readlink|realpath|access)$/.test(syscall) ? 'read' : 'written')
}

const indented = (text: string): string => text.split('\n').map((line) => `  ${line}`).join('\n')

/** What an importer or exporter could not bring, each with its place. Recognized by the error's name, as diagnostics are. */
function problemsOf(error: unknown, name: 'ImportError' | 'ExportError'): readonly object[] | undefined {
  return error instanceof Error && error.name === name ? (error as Error & { problems?: readonly object[] }).problems : undefined
}

/**
 * The diagnostics of an error that compiler or formatter threw. It is recognized by its name, so that nothing here waits for them to
 * load.
 */
function diagnosticsOf(error: unknown): readonly Diagnostic[] | undefined {
  if (!(error instanceof Error) || !['CompileError', 'FormatError'].includes(error.name)) return undefined
  return (error as Error & { diagnostics?: readonly Diagnostic[] }).diagnostics
}
