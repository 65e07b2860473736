import { Command, CommanderError } from 'commander'
import { json } from './options.ts'
import { fail } from './fail.ts'
import { EXIT } from './exit.ts'
import { Screen } from './screen.ts'
import type { Terminal } from './terminal.ts'
import { VERBS } from './verbs/index.ts'
import { VERSION } from './package.ts'

/** Runs the command line and gives the exit code. Never throws, never ends the process. */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  const screen = new Screen(terminal, argv.includes('--json'))
  let code: number = EXIT.done
  const usage: string[] = []

  const program = new Command('fusenet')
    .description('Compiles .net files to WGSL bundles that infer and train.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'say how a verb is used')
    .helpCommand('help [verb]', 'say how a verb is used')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => { terminal.out.write(text) },
      writeErr: (text) => { usage.push(text) },
      getOutHelpWidth: () => terminal.out.columns ?? 100,
      getErrHelpWidth: () => terminal.err.columns ?? 100,
    })
    .addHelpText('after', `
Exit codes: 0 done, 1 the input is wrong, 2 the command line is wrong, 3 the device failed, 130 interrupted.
Every verb takes --json; \`fusenet VERB --help\` tells the rest.`)
  for (const verb of VERBS) {
    const command = program.command(verb.name).description(verb.summary)
    verb.describe(command)
    json(command)
    command.action(async () => { code = await verb.run({ args: command.processedArgs.flat() as string[], options: command.opts(), screen }) })
  }

  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done
      return fail(screen, { kind: 'usage', message: usage.join('').trim().replace(/^error: /, '') })
    }
    return fail(screen, { kind: 'thrown', error })
  }
}
