import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { VERBS } from '../../../cli/verbs/index.ts'
import { fusenet, type Said } from '../../cli/helper.ts'
import { root } from './pages.ts'
import { wordsOf } from './snippets.ts'

/** What takes seconds at most is run. */
const RUN = /^(check|fmt|run|step|compile|help|layers|summary|draw|init|inspect)$/
const LARGE = /samples\/(resnet|densenet|mobilenet|cifar10_full)/

/**
 * Runs a command line of a page in the working folder. Trainings are run where the page wrote the net, by a few small steps; of what
 * takes longer the command line is read: the words, the options and what they ask for.
 */
export async function runLine(line: string, written: ReadonlySet<string>): Promise<Said | undefined> {
  const words = wordsOf(line)
  if (words[0] === 'npx' && words[1] === 'fusenet') words.shift()
  const [command, ...argv] = words
  for (const word of argv) if (word.startsWith('samples/') && command !== 'npx') expect(existsSync(word), word).toBe(true)
  if (command === 'fusenet') return runVerb(argv, written)
  const { name, scripts, dependencies, peerDependencies, devDependencies } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  ) as Record<string, any>
  const packages = Object.keys({ ...dependencies, ...peerDependencies, ...devDependencies, [name]: '' })
  const rest = argv.filter((word) => !word.startsWith('-'))
  switch (command) {
    case 'npm':
      if (['install', 'i'].includes(argv[0]!)) {
        for (const wanted of rest.slice(1))
          expect([...packages, '.', '..'], `npm install ${wanted}`).toContain(wanted.replace(/(.)@.*/, '$1'))
      } else expect([...Object.keys(scripts), 'init', 'link', 'ci', 'pack', 'create']).toContain(argv[0] === 'run' ? argv[1] : argv[0])
      return
    case 'npx':
      expect([...packages, 'serve', 'http-server'], line).toContain(rest[0])
      return
    case 'node':
      expect(existsSync(argv[0]!) || existsSync(join(root, argv[0]!)), argv[0]).toBe(true)
      return
    case 'mkdir':
      await mkdir(rest[0]!, { recursive: true })
      return
    case 'cd':
    case 'git':
    case 'curl':
    case 'python3':
    case 'ls':
    case 'cp':
      return
    default:
      throw new Error(`no test knows this command: ${line}`)
  }
}

async function runVerb(argv: readonly string[], written: ReadonlySet<string>): Promise<Said> {
  const verb = VERBS.find(({ name }) => name === argv[0])
  const own = argv.some((word) => written.has(word))
  const trains = argv[0] === 'train' && own
  const imports = argv[0] === 'import' && own
  const runs = !verb || trains || imports || (RUN.test(argv[0]!) && !argv.some((word) => LARGE.test(word)))
  const stub = runs ? undefined : vi.spyOn(verb, 'run').mockResolvedValue(0)
  try {
    const said = await fusenet(trains && !argv.includes('--limit') ? [...argv, '--limit', '200', '--threads', '1'] : argv)
    if (stub && said.code === 0) expect(stub, `${argv.join(' ')}: ${said.err}`).toHaveBeenCalledOnce()
    return said
  } finally {
    stub?.mockRestore()
  }
}

/** Numbers, sizes and times differ from machine to machine, and with them how columns are laid out. */
export const butForNumbers = (text: string): string => text.replace(/\d+([.,]\d+)*(e-?\d+)?/g, '0').replace(/[ \t─━]+/g, ' ').trim()
