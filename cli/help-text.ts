import { argumentsOf, callText, exampleText, shortCall } from '../compiler/manual/describe.ts'
import type { Meaning } from '../compiler/manual/find.ts'
import type { Group } from '../compiler/manual/page.ts'
import { type Entry, entries, WRITTEN } from '../compiler/manual/table.ts'
import { ANYBODY } from '../dsl/elsewhere.ts'
import type { Screen } from './screen.ts'

const WIDTH = 100

/** A text in lines of at most `width`, the later ones behind `indent` blanks more. */
function wrapped(text: string, width: number, indent = 0): string {
  const lines: string[] = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!
    if (last !== '' && last.length + word.length + 1 > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}

const rows = (all: readonly (readonly [string, string])[], indent: string, width: number): string => {
  const first = Math.min(30, Math.max(...all.map(([left]) => left.length)))
  return all.map(([left, right]) =>
    `${indent}${left.padEnd(first)}  ${left.length > first ? `\n${indent}${' '.repeat(first + 2)}` : ''}${
      wrapped(right, width - indent.length - first - 2, indent.length + first + 2)
    }`
  ).join('\n')
}

function entryText(entry: Entry, { colors, terminal }: Screen): string {
  const { signature, page, kind, group } = entry
  const width = Math.min(terminal.out.columns ?? WIDTH, WIDTH)
  const block = (
    title: string,
    lines: readonly string[] | undefined,
  ): string[] => (lines && lines.length > 0
    ? [`${colors.bold(title)}\n${lines.map((line) => `  ${wrapped(line, width - 4, 4)}`).join('\n')}`] : [])
  const given = argumentsOf(entry)
  const argumentRows = given.map((
    a,
  ): [string, string] => [
    `${a.name}${a.named ? ':' : ''}`,
    `${a.doc}${a.doc ? '; ' : ''}${a.takes}; ${
      a.default !== undefined ? `default ${a.default}` : a.required ? 'must be given' : `else ${a.otherwise ?? 'none'}`
    }${a.aliases.length > 0 ? `; or ${a.aliases.join(', ')}` : ''}`,
  ])
  const elsewhere = (signature.elsewhere ?? []).filter((synonym) => synonym.none === undefined)
  return [
    `${colors.bold(signature.name)}, ${kind === 'augmentation' ? 'an' : 'a'} ${
      kind === 'statistics' ? 'kind of statistics' : kind
    }: ${signature.doc}`,
    `  ${
      wrapped(
        `${
          WRITTEN[kind].includes('...') ? WRITTEN[kind].replace('...', callText(signature))
            : `${(signature.values?.min ?? 1) !== 1 && kind === 'layer' ? '' : WRITTEN[kind]}${callText(signature)}`
        }`,
        width - 4,
        4,
      )
    }`,
    ...(argumentRows.length > 0
      ? [
        `${colors.bold('Arguments')}${given.some((a) => a.named) ? ' (those with a colon by name alone)' : ''}\n${
          rows(argumentRows, '  ', width)
        }`,
      ] : []),
    ...block('Shapes', page.shape === undefined ? undefined : page.shape.split('; ')),
    ...block('Parameters', page.parameters),
    ...block('Formula', page.formula),
    ...block('Gradient', page.gradient),
    `${colors.bold('Example')}\n${exampleText(entry).split('\n').map((line) => `  ${line}`.trimEnd()).join('\n')}`,
    ...block('Notes', page.notes),
    ...(elsewhere.length > 0
      ? block('Elsewhere', [[...new Set(elsewhere.map(({ name, of }) => `${name}${of === ANYBODY ? '' : ` (${of})`}`))].join(', ')]) : []),
    `See ${[...(page.see ?? []).map((name) => `fusenet help ${name}`), `docs/language/${group.file}.md`].join(', ')}`,
  ].join('\n\n')
}

/** A group's calls, a line each. */
export function groupText(group: Group, { colors, terminal }: Screen): string {
  const own = entries.filter((entry) => entry.group === group)
  return `${colors.bold(group.title)}\n${
    rows(
      own.map(({ signature }): [string, string] => [shortCall(signature), signature.doc]),
      '  ',
      Math.min(terminal.out.columns ?? WIDTH, WIDTH),
    )
  }`
}

/** The help text of a word. */
export function meaningText(word: string, meaning: Meaning, screen: Screen): string {
  switch (meaning.kind) {
    case 'calls':
      return meaning.entries.map((entry) => entryText(entry, screen)).join('\n\n')
    case 'list':
      return `${
        meaning.groups.map((group) =>
          `${
            wrapped(
              group.intro.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', ''),
              Math.min(screen.terminal.out.columns ?? WIDTH, WIDTH),
            )
          }\n\n${groupText(group, screen)}`
        ).join('\n\n')
      }\n\nfusenet help NAME tells all of one`
    case 'elsewhere': {
      if (meaning.none !== undefined) return meaning.none
      const of = meaning.of === ANYBODY ? '' : ` (${meaning.of})`
      const note = `${meaning.write === undefined ? '' : `; write ${meaning.write}`}${
        meaning.note === undefined ? '' : `; ${meaning.note}`
      }`
      return `${meaning.name}${of} is ${[...new Set(meaning.entries.map(({ signature }) => signature.name))].join(' or ')} here${note}\n\n${
        meaning.entries.map((entry) => entryText(entry, screen)).join('\n\n')
      }`
    }
    case 'argument':
      return `${word} is an argument:\n${
        rows(
          meaning.entries.map(({ signature }): [string, string] => [
            signature.name,
            signature.parameters.find((p) => p.name === word || p.aliases?.includes(word))?.doc ?? '',
          ]),
          '  ',
          WIDTH,
        )
      }\n\nfusenet help NAME tells all of one`
    case 'unknown':
      return ''
  }
}

const entryData = (entry: Entry): object => {
  const { signature, page, kind, group } = entry
  const { example: _, picture: __, ...told } = page
  return {
    name: signature.name,
    kind,
    group: group.title,
    doc: signature.doc,
    call: callText(signature),
    arguments: argumentsOf(entry),
    ...told,
    example: exampleText(entry),
    elsewhere: (signature.elsewhere ?? []).map(({ name, of }) => ({ name, of })),
  }
}

/** The help on a word as JSON. */
export function meaningData(word: string, meaning: Meaning): object {
  switch (meaning.kind) {
    case 'list':
      return { word, calls: entries.filter((entry) => meaning.groups.includes(entry.group)).map(entryData) }
    case 'elsewhere':
      return {
        word,
        elsewhere: {
          name: meaning.name,
          of: meaning.of,
          ...(meaning.none !== undefined && { none: meaning.none }),
          ...(meaning.note !== undefined && { note: meaning.note }),
        },
        calls: meaning.none === undefined ? meaning.entries.map(entryData) : [],
      }
    case 'unknown':
      return { word }
    default:
      return { word, calls: meaning.entries.map(entryData) }
  }
}

/** Every call of some kinds, for `fusenet layers --json`. */
export const entriesData = (some: readonly Entry[]): object[] => some.map(entryData)
