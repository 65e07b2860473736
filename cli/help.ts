import type { Command } from 'commander'
import { EXIT } from './exit.ts'
import { fail } from './fail.ts'
import type { Screen } from './screen.ts'
import { verbMeant } from './unknown-verb.ts'

/** `fusenet help`, `help VERB`, `help NAME` of the language. Gives the exit code. */
export async function help(word: string | undefined, program: Command, screen: Screen): Promise<number> {
  if (word === undefined) {
    program.outputHelp()
    return EXIT.done
  }
  const command = program.commands.find((c) => c.name() === word)
  const { find } = await import('../compiler/manual/find.ts')
  const meaning = find(word)
  if (command) {
    if (screen.json) screen.result({ verb: word, help: command.helpInformation() })
    else command.outputHelp()
    // `step` is a verb and a schedule.
    if (meaning.kind !== 'calls' || screen.json) return EXIT.done
    screen.print('')
  }
  const { meaningText, meaningData } = await import('./help-text.ts')
  if (meaning.kind === 'unknown') {
    const verb = verbMeant(word)
    if (verb !== '') return fail(screen, { kind: 'usage', message: `there is no verb ${word}${verb}` })
    const near = meaning.near === undefined ? '' : `; did you mean ${meaning.near}?`
    return fail(screen, {
      kind: 'usage',
      message:
        `there is no verb ${word}, and nothing in the language is called so${near}; fusenet layers lists the layers, fusenet --help the verbs`,
    })
  }
  screen.result(meaningData(word, meaning))
  screen.print(meaningText(word, meaning, screen))
  return EXIT.done
}
