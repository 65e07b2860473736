import { countOf } from '../../bundle/plain.ts'
import { matchClasses } from '../../runtime/data/classes.ts'
import type { Dataset } from '../../runtime/data/dataset.ts'
import { fieldsFor } from '../../runtime/data/fields.ts'
import type { InputEntry } from '../../bundle/format.ts'
import { elementCount } from '../../bundle/sizes.ts'

/** The number of samples (of pixels, for label maps) of a class in each part of a data set. */
export interface ClassCount {
  readonly label: number
  readonly name?: string
  readonly samples: Readonly<Record<string, number>>
}

export interface ClassReport {
  readonly classes: readonly ClassCount[]
  /** Lines for people: the classes with their counts, and what is missing. */
  readonly lines: readonly string[]
}

/**
 * Counts the classes of each part of a data set, by the label of the net that they feed. Throws InputError where data and net do not
 * fit: before any other work. `training`: a net without names takes those of the data. Undefined where the net has no labels.
 */
export async function countClasses(
  inputs: readonly InputEntry[],
  parts: Readonly<Record<string, Dataset>>,
  training: boolean,
): Promise<ClassReport | undefined> {
  const label = inputs.find(({ classes }) => classes !== undefined)
  const each = label ? elementCount(label.shape) : 1
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
    counts.set(part, await countLabels(dataset, field, each, match.labels))
  }
  if (!label) return undefined
  const classes = Array.from({ length: label.classes! }, (_, k): ClassCount => ({
    label: k,
    ...(names?.[k] !== undefined && { name: names[k] }),
    samples: Object.fromEntries([...counts].map(([part, count]) => [part, count.get(k) ?? 0])),
  }))
  const lines = linesOf(classes, [...counts.keys()], each > 1 ? 'pixels' : 'samples')
  const ignored = [...counts].map(([part, count]) =>
    [part, [...count].reduce((sum, [value, n]) => (value >= 0 && value < label.classes! ? sum : sum + n), 0)] as const
  ).filter(([, n]) => n > 0)
  if (ignored.length > 0) lines.push(`ignored labels: ${ignored.map(([part, n]) => `${part} ${n}`).join(', ')}`)
  if (guessed)
    lines.push(`the net does not say what its classes are called: its labels 0, 1, ... are taken to be these, in the order of their names`)
  return { classes, lines }
}

/** Samples whose labels are read at a time: maps of labels may be large. */
const AT_ONCE = 1024

/** The number of occurrences of each label of the net. */
async function countLabels(
  dataset: Dataset,
  field: string,
  each: number,
  own: readonly number[] | undefined,
): Promise<Map<number, number>> {
  const count = new Map<number, number>()
  const atOnce = Math.max(1, Math.floor((AT_ONCE * 64) / Math.max(64, each)))
  for (let from = 0; from < dataset.length; from += atOnce) {
    const indices = Array.from({ length: Math.min(atOnce, dataset.length - from) }, (_, i) => from + i)
    const labels = new Int32Array(indices.length * each)
    await dataset.read(indices, { [field]: labels })
    for (const label of labels) {
      const value = own?.[label] ?? label
      count.set(value, (count.get(value) ?? 0) + 1)
    }
  }
  return count
}

/** Classes that are told one by one. */
const MOST_SHOWN = 20

function linesOf(classes: readonly ClassCount[], parts: readonly string[], unit: string): string[] {
  const called = ({ name, label }: ClassCount): string => name ?? String(label)
  const lines: string[] = []
  if (classes.length <= MOST_SHOWN) {
    lines.push(
      `${countOf(classes.length, 'class')} (${parts.join(' + ')}${unit === 'samples' ? '' : `, ${unit}`}): ${
        classes.map((c) => `${called(c)}${c.name === undefined ? ':' : ''} ${parts.map((part) => c.samples[part]).join(' + ')}`).join(', ')
      }`,
    )
  } else {
    const range = (part: string): string => {
      const all = classes.map((c) => c.samples[part]!)
      return `${part} ${Math.min(...all)} to ${Math.max(...all)}`
    }
    lines.push(
      `${classes.length} classes (${parts.map(range).join(', ')} ${unit} each): ${
        classes.slice(0, MOST_SHOWN).map(called).join(', ')
      }, ...`,
    )
  }
  for (const part of parts) {
    const missing = classes.filter((c) => c.samples[part] === 0)
    if (missing.length > 0 && missing.length < classes.length)
      lines.push(
        `no ${part} ${unit} of ${missing.slice(0, MOST_SHOWN).map(called).join(', ')}${
          missing.length > MOST_SHOWN ? `, ... (${missing.length})` : ''
        }`,
      )
  }
  return lines
}
