import { Command, type Option } from 'commander'
import { VERBS } from '../../../cli/verbs/index.ts'

/** A text of the help in a cell of a table: what Markdown or Vue would read otherwise is written as it stands. */
const cell = (text: string): string =>
  text.replace(/[\\|*_<>`{}]/g, (char) => ({ '<': '&lt;', '>': '&gt;', '{': '&#123;', '}': '&#125;' })[char] ?? `\\${char}`)

/** As the help says it behind an option: what it may be, and what it is where nothing is said. */
function extra({ argChoices, defaultValue }: Option): string {
  const said = [
    ...(argChoices ? [argChoices.map((one) => `\`${one}\``).join(', ')] : []),
    ...(defaultValue === undefined ? [] : [`default \`${String(defaultValue)}\``]),
  ]
  return said.length === 0 ? '' : ` (${said.join('; ')})`
}

/** Of each verb how it is called and every option of its own (all take --json), as `fusenet VERB --help` has them, in Markdown. */
export function verbTables(): Map<string, string> {
  return new Map(VERBS.map((verb) => {
    const command = new Command(verb.name)
    verb.describe(command)
    const rows = [
      ...command.registeredArguments.map((argument) => [argument.name(), argument.description]),
      ...command.options.map((option) => [option.flags, `${cell(option.description)}${extra(option)}`]),
    ]
    return [
      verb.name,
      [
        `\`fusenet ${verb.name} ${command.usage()}\``,
        '',
        '| | |',
        '| --- | --- |',
        ...rows.map(([flags, text], i) =>
          `| \`${flags!.replaceAll('|', '\\|')}\` | ${i < command.registeredArguments.length ? cell(text!) : text} |`
        ),
      ].join('\n'),
    ]
  }))
}

const BLOCK = /(<!-- options of (\S+), as its help has them -->\n)[^]*?(\n<!-- end -->)/g

/** The page with the tables of now between its marks, and the verbs that it has marks for. */
export function commandPage(text: string): { text: string; verbs: string[] } {
  const tables = verbTables()
  const verbs: string[] = []
  const made = text.replace(BLOCK, (all, begin: string, verb: string, end: string) => {
    verbs.push(verb)
    const table = tables.get(verb)
    return table === undefined ? all : `${begin}\n${table}\n${end}`
  })
  return { text: made, verbs }
}
