import { readdir } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { Option } from 'commander'
import { InputError } from '../../bundle/errors.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { replaceFiles } from '../../runtime/loading/node/files.ts'
import { EXIT, UsageError } from '../exit.ts'
import { kindOf } from '../files.ts'
import { TEMPLATES, templateFiles } from '../templates.ts'
import type { Verb } from '../verb.ts'
import { quoted } from '../../bundle/quoted.ts'

export const init: Verb = {
  name: 'init',
  summary: 'begin a project: a net, its training, and what it is used in',
  describe(command) {
    command.argument('[dir]', 'a folder that is new or empty', '.')
      .addOption(
        new Option('--template <template>', Object.entries(TEMPLATES).map(([name, { what }]) => `${name}: ${what}`).join('; ')).choices(
          Object.keys(TEMPLATES),
        ).default('vite'),
      )
      .option('--name <name>', 'what the package is called (default: as the folder)')
  },
  async run({ args, options, screen }) {
    const folder = args[0] ?? '.'
    const template = options['template'] as string
    const name = options['name'] === undefined ? nameOf(folder) : checked(options['name'] as string)
    await refuseUsed(folder)
    const files = await templateFiles(template, name)
    await replaceFiles(new Map([...files].map(([file, text]) => [join(folder, file), text])))
    const { what, next } = TEMPLATES[template]!
    const way = relative('.', folder)
    const commands = [...(way === '' ? [] : [`cd ${quoted(way)}`]), ...next]
    screen.print(`${folder}: ${name}, ${what}`)
    for (const file of [...files.keys()].sort()) screen.print(`  ${file}`)
    screen.print(['', 'What to type next:', ...commands.map((line) => `  ${line}`)].join('\n'))
    screen.result({ folder, name, template, files: [...files.keys()].sort(), next: commands })
    return EXIT.done
  },
}

/** Files that may lie in a folder that counts as empty: none of them is overwritten. */
const HARMLESS = /^(\.git|\.hg|\.svn|\.DS_Store|\.idea|\.vscode|LICENSE(\.\w+)?)$/

/** Throws InputError: nothing is ever written over. */
async function refuseUsed(folder: string): Promise<void> {
  const kind = await kindOf(folder)
  if (kind === 'file') throw new InputError(`${folder} is a file; a project is a folder`)
  const names = kind === 'folder' ? await withFile(folder, 'read', () => readdir(folder)) : []
  const others = names.filter((name) => !HARMLESS.test(name)).sort()
  if (others.length > 0)
    throw new InputError(
      `${folder} holds files already (${others.slice(0, 4).join(', ')}${
        others.length > 4 ? ', ...' : ''
      }): name a new folder, fusenet init my-net`,
    )
}

/** npm's rules: lower case, digits, and what stands between them. */
const NAME = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/
const LONGEST = 214

function checked(name: string): string {
  if (!NAME.test(name) || name.length > LONGEST)
    throw new UsageError(`--name ${JSON.stringify(name)}: npm wants small letters, digits, - and _, such as ${nameOf(name)}`)
  return name
}

/** The folder's name as npm would have it. */
function nameOf(folder: string): string {
  const words = basename(resolve(folder)).normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/[^a-z0-9._~-]+/g, '-').replace(
    /^[^a-z0-9]+|[^a-z0-9]+$/g,
    '',
  )
  return words.slice(0, LONGEST) || 'my-net'
}
