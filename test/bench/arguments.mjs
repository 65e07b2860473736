import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

/** What a script says of itself: its first doc comment, without the marks. */
const headOf = (url) =>
  /\/\*\*([^]*?)\*\//.exec(readFileSync(new URL(url), 'utf8'))[1].split('\n').map((line) => line.replace(/^\s*\* ?/, '')).join('\n').trim()

/**
 * The arguments of the script whose `import.meta.url` is given, as `parseArgs` gives them; `--help` prints how it is used and ends the process.
 * What it does not know ends the process, too, with a line that says what is wrong, and how it is used: `refuse` does that for the script. `count` is
 * the number above 0 that an option was given. `usage` is the head of the script by default.
 */
export function readArguments(url, { args = process.argv.slice(2), options = {}, positionals = false, usage = headOf(url) }) {
  const known = { ...options, help: { type: 'boolean', short: 'h', default: false } }
  try {
    const read = parseArgs({ args, options: known, allowPositionals: positionals, allowNegative: true })
    if (read.values.help) {
      console.log(usage)
      process.exit(0)
    }
    return { ...read, refuse: (text) => refuse(text, usage), count: (name, text = read.values[name]) => countOf(name, text, usage) }
  } catch (error) {
    if (!error.code?.startsWith('ERR_PARSE_ARGS')) throw error
    const names = Object.keys(known).map((name) => `--${name}`).join(', ')
    return refuse(`${error.message.split(/\. (?:To|This) |\.?\n/)[0]}: the options are ${names}`, usage)
  }
}

/** A number above 0, whole or not, as seconds may be. */
function countOf(name, text, usage) {
  const number = Number(text)
  return Number.isFinite(number) && number > 0 ? number : refuse(`--${name} ${text}: a number above 0 is wanted`, usage)
}

/** Ends a script that was asked for something that there is not. */
function refuse(text, usage) {
  process.stderr.write(`${text}\n\n${usage}\n`)
  process.exit(2)
}
