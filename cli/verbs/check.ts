import { drawDiagnostics, plainDiagnostic } from '../diagnostics.ts'
import { EXIT } from '../exit.ts'
import { style } from '../options.ts'
import { readImport, readSource } from '../source.ts'
import type { Verb } from '../verb.ts'

export const check: Verb = {
  name: 'check',
  summary: 'tell errors and warnings of a .net file; nothing is written',
  describe(command) {
    style(command.argument('<file.net...>', 'programs'))
  },
  async run({ args, options, screen }) {
    const { check } = await import('../../compiler/check.ts')
    const files = []
    for (const file of args) {
      const diagnostics = check(await readSource(file), { readImport, style: options['style'] as 'merged' | 'split' | undefined })
      const errors = diagnostics.filter((d) => d.severity === 'error').length
      files.push({ file, errors, warnings: diagnostics.length - errors, diagnostics: diagnostics.map(plainDiagnostic) })
      if (screen.json) continue
      if (diagnostics.length > 0) screen.note(drawDiagnostics(diagnostics, screen))
      else screen.print(`${file}: ${screen.colors.green('no errors')}`)
    }
    const errors = files.reduce((sum, file) => sum + file.errors, 0)
    screen.result({ ok: errors === 0, files })
    return errors > 0 ? EXIT.input : EXIT.done
  },
}
