/** A text and the name under which errors speak of it. */
export interface Source {
  readonly file: string
  readonly text: string
}

/** A range of a source: offsets in UTF-16 units, `end` exclusive. */
export interface Span {
  readonly source: Source
  readonly start: number
  readonly end: number
}

/** The place of what no text made: gradients of the whole, tests. */
export const nowhere: Span = { source: { file: '<nowhere>', text: '' }, start: 0, end: 0 }

/** The word that a longer span begins with. */
export const headOf = (span: Span, word: string): Span => ({ ...span, end: Math.min(span.end, span.start + word.length) })

export const textOf = ({ source, start, end }: Span): string => source.text.slice(start, end)
