import { Command, CommanderError } from 'commander'
import { collect, json } from './options.ts'
import { fail } from './fail.ts'
import { EXIT, UsageError } from './exit.ts'
import { help } from './help.ts'
import { greet } from './greeting.ts'
import { Screen } from './screen.ts'
import type { Terminal } from './terminal.ts'
import { VERBS } from './verbs/index.ts'
import { VERSION } from './package.ts'
import { unknownVerb } from './unknown-verb.ts'

/** Runs the command line and gives the exit code. Never throws, never ends the process. */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  const screen = new Screen(terminal, argv.includes('--json'))
  let code: number = EXIT.done
  const usage: string[] = []

  const program = new Command('fusenet')
    .description('Compiles .net files to WGSL bundles that infer and train.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'say how a verb is used')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        terminal.out.write(text)
      },
      writeErr: (text) => {
        usage.push(text)
      },
      getOutHelpWidth: () => terminal.out.columns ?? 100,
      getErrHelpWidth: () => terminal.err.columns ?? 100,
    })
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 the input is wrong, 2 the command line is wrong, 3 the device failed, 130 interrupted, 141 nobody reads what a training prints.
Every verb takes --json; \`fusenet VERB --help\` tells the rest, \`fusenet help conv\` all of a layer.`,
    )
  for (const verb of VERBS) {
    const command = program.command(verb.name).description(verb.summary)
    verb.describe(command)
    json(command)
    refuseTwice(command)
    command.action(async () => {
      code = await verb.run({ args: command.processedArgs.flat() as string[], options: command.opts(), screen })
    })
  }

  json(
    program.command('help').description('say how a verb is used, or what a layer, loss, solver, schedule, ... of the language does')
      .argument('[name]', 'e.g. train, conv, sgd, losses'),
  )
    .action(async (word?: string) => {
      code = await help(word, program, screen)
    })

  if (argv.every((word) => word === '--json')) {
    greet(screen)
    return EXIT.done
  }
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done
      const message = error.code === 'commander.unknownCommand' || error.code === 'commander.help' ? unknownVerb(argv)
        : usage.join('').trim().replace(/^error: /, '').replace(/\.$/, '') + wayOut(error, argv)
      return fail(screen, { kind: 'usage', message })
    }
    return fail(screen, { kind: 'thrown', error })
  }
}

/** What stands behind the sentence of a wrong command line. */
function wayOut({ code, message }: CommanderError, argv: readonly string[]): string {
  if (code === 'commander.unknownOption') return whereItIsSaid(message)
  const [verb, word] = argv.filter((arg) => !arg.startsWith('-'))
  if (code === 'commander.excessArguments' && verb === 'layers') return `; all of one: fusenet help ${word}`
  return USAGE.includes(code) ? `; fusenet ${verb} --help tells how it is used` : ''
}

/** Mistakes in what a verb is given, where its words do not say what it takes. */
const USAGE = ['commander.missingArgument', 'commander.missingMandatoryOptionValue', 'commander.excessArguments']

/** An option that takes one value and is given two would silently mean the last: of two `--data` one would not be seen. */
function refuseTwice(command: Command): void {
  for (const option of command.options) {
    if (!(option.required || option.optional) || option.parseArg === (collect as typeof option.parseArg)) continue
    let before: string | undefined
    command.on(`option:${option.name()}`, (value: string) => {
      if (before !== undefined && before !== value)
        throw new UsageError(`${option.long ?? option.short} is given twice: ${before} and ${value}`)
      before = value
    })
  }
}

/** Options of other tools, by what is said for them here. */
const SAID_ELSEWHERE: readonly (readonly [said: string, names: readonly string[]])[] = [
  [
    'this is said in the file, in its train block: train { solver sgd(lr: 0.1, momentum: 0.9) } (`fusenet help solvers`, `fusenet help schedules`)',
    [
      'lr',
      'learning-rate',
      'rate',
      'optimizer',
      'solver',
      'momentum',
      'weight-decay',
      'wd',
      'decay',
      'scheduler',
      'schedule',
      'lr-policy',
      'clip',
      'accumulate',
    ],
  ],
  ['samples at a time are --batch', ['batch-size', 'batch_size', 'bs', 'b', 'batchsize', 'minibatch']],
  ['how long is --epochs or --steps, of train', ['e', 'epoch', 'num-epochs', 'max-epochs', 'iterations', 'iters', 'max-iter', 'max-steps']],
  ['a part of the data is --limit, of train and eval; run takes the samples that it is given', [
    'limit',
    'n',
    'samples',
    'max-samples',
    'num-samples',
  ]],
  ['where it runs is --device webgpu or --device wasm', ['gpu', 'cpu', 'cuda']],
  ['parameters to begin with are --weights, a training to go on with is --resume', [
    'checkpoint',
    'ckpt',
    'pretrained',
    'load',
    'continue',
  ]],
]

/** Where that is said which an unknown option was meant for; empty where that is not known. */
function whereItIsSaid(message: string): string {
  const name = /'--?([^'=]+)/.exec(message)?.[1]?.toLowerCase()
  const found = SAID_ELSEWHERE.find(([, names]) => names.includes(name!))
  return found ? `; ${found[0]}` : ''
}
