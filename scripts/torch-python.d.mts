/** The module in JavaScript that takes the place of export/torch/python-texts.ts. */
export function moduleText(): string
/** Writes it into `dist`. */
export function writeModule(): void
