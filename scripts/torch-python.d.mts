/** The text that export/torch/python-texts.ts should have. */
export function moduleText(): string
