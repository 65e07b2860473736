import { EXIT } from '../exit.ts'
import type { Verb } from '../verb.ts'

export const layers: Verb = {
  name: 'layers',
  summary: 'list what a .net file can call: layers, losses, metrics; with --all also solvers, schedules and the like',
  describe(command) {
    command.option('--all', 'solvers, schedules, fillers, augmentations, datasets too')
      .addHelpText('after', '\nExamples:\n  fusenet layers\n  fusenet help conv')
  },
  async run({ options, screen }) {
    const { entries, groups } = await import('../../compiler/manual/table.ts')
    const { entriesData, groupText } = await import('../help-text.ts')
    const shown = entries.filter(({ kind }) => options['all'] === true || ['layer', 'loss', 'metric'].includes(kind))
    screen.result({ calls: entriesData(shown) })
    const wanted = groups.filter((group) => shown.some((entry) => entry.group === group))
    screen.print(
      `${
        wanted.map((group) => groupText(group, screen)).join('\n\n')
      }\n\nfusenet help NAME tells all of one: arguments, formula, gradient, an example`,
    )
    return EXIT.done
  },
}
