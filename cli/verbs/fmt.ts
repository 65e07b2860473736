import { EXIT } from '../exit.ts'
import { replaceFile } from '../../runtime/loading/node/files.ts'
import { readText } from '../files.ts'
import type { Verb } from '../verb.ts'

export const fmt: Verb = {
  name: 'fmt',
  summary: 'lay out .net files; comments stay, meaning stays',
  describe(command) {
    command.argument('<file.net...>', 'programs, rewritten in place; - reads standard input and writes standard output')
      .option('--check', 'change nothing; exit 1 if a file is not laid out')
  },
  async run({ args, options, screen }) {
    const { format } = await import('../../dsl/index.ts')
    const files = []
    for (const file of args) {
      const text = file === '-' ? await screen.terminal.readInput() : await readText(file)
      // A text that cannot be parsed is left as it is, and the reason told.
      const laidOut = format({ file: file === '-' ? '<input>' : file, text })
      const changed = laidOut !== text
      files.push({ file, changed })
      if (options['check']) {
        if (changed) screen.print(`${file}: not laid out`)
      } else if (file === '-') {
        if (!screen.json) screen.terminal.out.write(laidOut)
      } else if (changed) {
        await replaceFile(file, laidOut)
        screen.print(file)
      }
    }
    screen.result({ files })
    return options['check'] && files.some((file) => file.changed) ? EXIT.input : EXIT.done
  },
}
