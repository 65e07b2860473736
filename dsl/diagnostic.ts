import type { Span } from './source.ts'

/** One place that an error speaks of. The first label of a diagnostic is where it happened. */
export interface Label {
  readonly span: Span
  readonly text: string
}

/** A mistake of the user's, as data: drawing it is the work of `render.ts`. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  /** `room/what`, e.g. `shape/add-mismatch`: stable, to search for. */
  readonly code: string
  /** One sentence without a full stop. */
  readonly message: string
  readonly labels: readonly Label[]
  /** A way out: what to write instead. */
  readonly hint?: string
}
