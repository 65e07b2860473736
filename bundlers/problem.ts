import { resolve } from 'node:path'
import { CompileError } from '../compiler/compile-error.ts'
import type { Diagnostic } from '../dsl/diagnostic.ts'
import { positionOf, render } from '../dsl/render.ts'
import type { NetFile } from './net-file.ts'
import { quoted } from '../bundle/quoted.ts'

/** An error as bundlers show it: a place that an editor opens, and the source that is drawn there. */
export interface Problem {
  readonly message: string
  readonly id?: string
  /** Line and column from 1 on. */
  readonly loc?: { readonly file: string; readonly line: number; readonly column: number }
  readonly frame?: string
  readonly stack?: string
}

/** Errors of one net that a message lists. */
const MOST_LISTED = 8

/**
 * The error of a compilation, with the position and the drawing of its first mistake; the others are listed. `root`: the folder that file
 * names are relative to.
 */
export function problemOf(error: unknown, file: string, root: string): Problem {
  if (!(error instanceof CompileError)) {
    const { message, name, stack } = error instanceof Error ? error : new Error(String(error))
    // The stack of a fault of fusenet's own is worth having.
    return { message: `${file}: ${message}`, id: file, ...(!/^(InputError|BundleError|FileError)$/.test(name) && stack && { stack }) }
  }
  const [first, ...rest] = error.diagnostics.filter(({ severity }) => severity === 'error')
  if (!first) return { message: `${file}: ${error.message}`, id: file }
  const listed = rest.slice(0, MOST_LISTED).map((each) => render({ ...each, labels: each.labels.slice(0, 1) }).split('\n')[0]!)
  const more = rest.length - listed.length
  const message = [
    sentence(first),
    ...(rest.length > 0 ? ['', `${rest.length} more ${rest.length > 1 ? 'errors' : 'error'} in this net:`, ...listed] : []),
    ...(more > 0 ? [`... and ${more} more`] : []),
  ].join('\n')
  const place = placeOf(first, root)
  return { message, id: place?.file ?? file, ...(place && { loc: place, frame: frameOf(first) }) }
}

const sentence = ({ message, code, hint }: Diagnostic): string => `${message} (${code})${hint === undefined ? '' : `\nhint: ${hint}`}`

function placeOf({ labels }: Diagnostic, root: string): Problem['loc'] {
  const span = labels[0]?.span
  if (!span) return undefined
  const { line, column } = positionOf(span.source, span.start)
  return { file: resolve(root, span.source.file), line, column }
}

/** The drawn lines alone: what is wrong stands in the message. Each ends in a newline, by which Vite's overlay knows a frame. */
function frameOf(diagnostic: Diagnostic): string {
  const { hint: _, ...bare } = diagnostic
  return `${render(bare).split('\n').slice(1).join('\n')}\n`
}

/** Names that a message lists. */
const MOST_NAMED = 6
const some = (names: readonly string[]): string =>
  `${names.slice(0, MOST_NAMED).join(', ')}${names.length > MOST_NAMED ? `, ... (${names.length} in all)` : ''}`

/** Notes on a net that was compiled: warnings, and parameters that start anew. */
export function notesOf({ warnings, fitted, weightsPath, bundle, file }: NetFile, name: string): string[] {
  const { parameters } = bundle.manifest
  const notes = warnings.filter(({ severity }) => severity === 'warning').map((warning) => render(warning))
  if (!fitted && parameters.length > 0)
    notes.push(
      `${name} has no weights, so it starts with initial values: put ${
        name.replace(/^.*\//, '').replace(/\.net$/, '.safetensors')
      } beside it, or name a file or a bundle (weights: 'out/${bundle.manifest.name}')`,
    )
  if (fitted && fitted.fresh.length > 0)
    notes.push(
      `${name}: ${fitted.kept.size} of ${parameters.length} parameters are of ${weightsPath ?? file}; with initial values: ${
        some(fitted.fresh)
      }`,
    )
  return notes
}

/** Why a build refuses weights that are of another net; undefined where they fit. */
export function misfit({ fitted, weightsPath, bundle }: NetFile, name: string): string | undefined {
  if (!fitted || (fitted.fresh.length === 0 && fitted.left.length === 0)) return undefined
  return [
    `the weights of ${weightsPath} are of another net than ${name}, which would be built untrained in part:`,
    ...(fitted.fresh.length > 0 ? [`  missing: ${some(fitted.fresh)}`] : []),
    ...(fitted.left.length > 0 ? [`  not of this net: ${some(fitted.left)}`] : []),
    `Train it again (fusenet train ${quoted(name)} -o out/${bundle.manifest.name}), or say partial: true to build it so`,
  ].join('\n')
}
