import { ANYBODY } from '../../dsl/elsewhere.ts'
import type { Synonym } from '../../dsl/signature.ts'
import { argumentsOf, callText, exampleText, shortCall } from './describe.ts'
import type { Group } from './page.ts'
import { type Entry, entries, groups } from './table.ts'

/*
 * The pages of `docs/language` that the tables make. Formulas are indented blocks: what stands in a fence is run as it is.
 */

const MADE = '<!-- Made by `npm run docs:language` from the tables of the compiler: change those. -->'

const cell = (text: string): string => text.replaceAll('|', '\\|')
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [`| ${head.join(' | ')} |`, `| ${head.map(() => '---').join(' | ')} |`, ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`)].join(
    '\n',
  )
const code = (text: string): string => `\`${text}\``
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
const lines = (texts: readonly string[] | undefined): string => (texts ?? []).map((line) => `    ${line}`).join('\n')

const anchor = (name: string): string => name.toLowerCase()
const linkTo = (from: Group, name: string): string => {
  const entry = entries.find((e) => e.signature.name === name)
  return entry ? `[${code(name)}](${entry.group === from ? '' : `${entry.group.file}.md`}#${anchor(name)})` : code(name)
}

function argumentTable(entry: Entry): string {
  const rows = argumentsOf(entry).map(({ name, takes, default: value, otherwise, required, named, aliases, doc }) => [
    `${code(name)}${aliases.length > 0 ? `, or ${aliases.map(code).join(', ')}` : ''}${named ? '' : ' *'}`,
    takes,
    value !== undefined ? code(value) : required ? 'must be given' : otherwise ?? 'none',
    doc,
  ])
  return rows.length === 0 ? 'It takes no arguments.'
    : `${table(['argument', 'takes', 'default', 'meaning'], rows)}\n\n\\* also by position, in this order.`
}

/** `Conv2d` (PyTorch), ...: what others call it, and what is another call there. */
function namesElsewhere({ signature }: Entry): string | undefined {
  const known = (signature.elsewhere ?? []).filter((synonym) => synonym.none === undefined)
  if (known.length === 0) return undefined
  return `Elsewhere: ${
    [...new Map(known.map((synonym) => [synonym.name, synonym])).values()].map(({ name, of }) =>
      `${code(name)}${of === ANYBODY ? '' : ` (${of})`}`
    ).join(', ')
  }.`
}

function section(entry: Entry): string {
  const { signature, page, group } = entry
  const parts = [
    `## ${signature.name}`,
    sentence(signature.doc),
    `    ${callText(signature)}`,
    argumentTable(entry),
    ...(page.shape !== undefined ? [`**Shapes**: ${page.shape}`] : []),
    ...(page.parameters ? [`**Parameters**: ${page.parameters.join('; ')}`] : []),
    ...(page.formula ? [`**Formula**\n\n${lines(page.formula)}`] : []),
    ...(page.gradient ? [`**Gradient**\n\n${lines(page.gradient)}`] : []),
    `\`\`\`net\n${exampleText(entry)}\n\`\`\``,
    ...(page.notes ?? []),
    ...[namesElsewhere(entry)].filter((text) => text !== undefined),
    ...(page.see ? [`See ${page.see.map((name) => linkTo(group, name)).join(', ')}.`] : []),
  ]
  return parts.join('\n\n')
}

function groupPage(group: Group): string {
  const own = entries.filter((entry) => entry.group === group)
  return `${
    [
      `# ${group.title}`,
      MADE,
      group.intro,
      table(['', ''], own.map(({ signature }) => [`[${code(shortCall(signature))}](#${anchor(signature.name)})`, signature.doc])),
      ...own.map(section),
    ].join('\n\n')
  }\n`
}

function listPage(): string {
  const parts = groups.map((group) => {
    const own = entries.filter((entry) => entry.group === group)
    return `## ${group.title}\n\n${
      table(
        ['', ''],
        own.map(({ signature }) => [`[${code(shortCall(signature))}](${group.file}.md#${anchor(signature.name)})`, signature.doc]),
      )
    }`
  })
  return `# All calls\n\n${MADE}\n\nEverything that a \`.net\` file can call. \`fusenet layers\` lists the layers, \`fusenet help NAME\` tells all of one.\n\n${
    parts.join('\n\n')
  }\n`
}

/** The text that replaces a name of another framework, as far as it is the same whatever its arguments. */
function hereOf(entry: Entry, synonym: Synonym): string {
  if (synonym.none !== undefined) return synonym.none
  const defaults = Object.entries(synonym.defaults ?? {})
  const required = entry.signature.parameters.filter((p) =>
    p.default === undefined && !p.optional && !defaults.some(([name]) => name === p.name)
  ).map((p) => p.name)
  const given = [...required, ...defaults.map(([name, value]) => `${name}: ${value}`)]
  const call = synonym.write ?? `${entry.signature.name}${given.length > 0 ? `(${given.join(', ')})` : ''}`
  return `${code(call)}${synonym.note === undefined ? '' : `; ${synonym.note}`}`
}

function elsewherePage(): string {
  const rows = entries.flatMap((entry) => (entry.signature.elsewhere ?? []).map((synonym) => ({ entry, synonym })))
    .sort((a, b) => (a.synonym.name.toLowerCase() < b.synonym.name.toLowerCase() ? -1 : 1))
    .map(({ entry, synonym }) => [code(synonym.name), synonym.of === ANYBODY ? '' : synonym.of, hereOf(entry, synonym)])
  return `# Names elsewhere\n\n${MADE}\n\nWhat other frameworks call layers, losses, solvers and the like, and what is written here. A file that uses such a name is refused with the whole call to write instead, arguments translated: \`Conv2d(3, 64, 3, padding: 1)\` is \`conv(64, 3, pad: 1)\`. Defaults that differ are written out.\n\n${
    table(['there', 'of', 'here'], rows)
  }\n`
}

/** Every page that is made, by its name in `docs/language`. */
export const languagePages = (): ReadonlyMap<string, string> =>
  new Map([...groups.map((group): [string, string] => [`${group.file}.md`, groupPage(group)]), ['calls.md', listPage()], [
    'elsewhere.md',
    elsewherePage(),
  ]])
