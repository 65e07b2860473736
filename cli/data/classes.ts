import { matchClasses } from '../../runtime/data/classes.ts'
import type { Dataset } from '../../runtime/data/dataset.ts'
import { fieldsFor } from '../../runtime/data/fields.ts'
import type { InputEntry } from '../../runtime/format.ts'
import { elementCount } from '../../runtime/sizes.ts'

/** How many samples of a class the parts of a data set hold. */
export interface ClassCount {
  readonly label: number
  readonly name?: string
  readonly samples: Readonly<Record<string, number>>
}

export interface ClassReport {
  readonly classes: readonly ClassCount[]
  /** For people: the classes with their counts, and what is missing. */
  readonly lines: readonly string[]
}

/**
 * Counts the classes of each part of a data set, by the label of the net that they feed. Throws InputError where data and net do not
 * fit: before any other work. `training`: a net without names takes those of the data. Undefined where the net has no label a sample.
 */
export async function countClasses(inputs: readonly InputEntry[], parts: Readonly<Record<string, Dataset>>, training: boolean): Promise<ClassReport | undefined> {
  const label = inputs.find(({ classes, shape }) => classes !== undefined && elementCount(shape) === 1)
  const counts = new Map<string, Map<number, number>>()
  let names = label?.classNames
  let guessed = false
  for (const [part, dataset] of Object.entries(parts)) {
    const fields = fieldsFor(inputs, dataset)
    if (!label) continue
    const field = fields.get(label.name)!
    const match = matchClasses({ ...label, ...(names && { classNames: names }) }, dataset.fields[field]!)
    names ??= match.names
    guessed ||= match.learned && !training
    const labels = new Int32Array(dataset.length)
    await dataset.read(Array.from(labels, (_, i) => i), { [field]: labels })
    const count = new Map<number, number>()
    for (const value of labels) {
      const own = match.labels?.[value] ?? value
      count.set(own, (count.get(own) ?? 0) + 1)
    }
    counts.set(part, count)
  }
  if (!label) return undefined
  const classes = Array.from({ length: label.classes! }, (_, k): ClassCount => ({
    label: k, ...(names?.[k] !== undefined && { name: names[k] }), samples: Object.fromEntries([...counts].map(([part, count]) => [part, count.get(k) ?? 0])),
  }))
  const lines = linesOf(classes, [...counts.keys()])
  if (guessed) lines.push(`the net does not say what its classes are called: its labels 0, 1, ... are taken to be these, in the order of their names`)
  return { classes, lines }
}

/** Classes that are told one by one. */
const MOST_SHOWN = 20

function linesOf(classes: readonly ClassCount[], parts: readonly string[]): string[] {
  const called = ({ name, label }: ClassCount): string => name ?? String(label)
  const lines: string[] = []
  if (classes.length <= MOST_SHOWN) {
    lines.push(`${classes.length} classes (${parts.join(' + ')}): ${classes.map((c) => `${called(c)}${c.name === undefined ? ':' : ''} ${parts.map((part) => c.samples[part]).join(' + ')}`).join(', ')}`)
  } else {
    const range = (part: string): string => {
      const all = classes.map((c) => c.samples[part]!)
      return `${part} ${Math.min(...all)} to ${Math.max(...all)}`
    }
    lines.push(`${classes.length} classes (${parts.map(range).join(', ')} samples each): ${classes.slice(0, MOST_SHOWN).map(called).join(', ')}, ...`)
  }
  for (const part of parts) {
    const missing = classes.filter((c) => c.samples[part] === 0)
    if (missing.length > 0 && missing.length < classes.length) lines.push(`no ${part} samples of ${missing.slice(0, MOST_SHOWN).map(called).join(', ')}${missing.length > MOST_SHOWN ? `, ... (${missing.length})` : ''}`)
  }
  return lines
}
