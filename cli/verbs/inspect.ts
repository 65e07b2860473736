import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Option } from 'commander'
import type { InspectReport, ProgramReport } from '../../compiler/inspect.ts'
import type { Style } from '../../runtime/format.ts'
import { inspectTarget } from '../inspecting.ts'
import { EXIT } from '../exit.ts'
import { collect, positiveInteger, style } from '../options.ts'
import { type Screen, showBytes, showCount } from '../screen.ts'
import type { Verb } from '../verb.ts'

export const inspect: Verb = {
  name: 'inspect',
  summary: 'show kernels, what is fused into each and why not more, FLOPs, bytes moved, peak memory',
  describe(command) {
    style(command.argument('<file.net|bundle>', 'the net'))
      .option('--batch <n>', 'for so many samples', positiveInteger, 1)
      .option('--program <name>', 'only this one; may be repeated', collect)
      .addOption(new Option('--print <what>', 'the compiler\'s own view instead').choices(['graph', 'loops', 'plan']))
      .option('--after <pass>', 'print what each pass leaves: its name, or all')
      .option('--without <pass>', 'leave out a pass; may be repeated', collect)
      .option('--emit-dir <dir>', 'write what every pass leaves to numbered files')
  },
  async run({ args, options, screen }) {
    const target = await inspectTarget(args[0]!, options['style'] as Style | undefined)
    const report = target.report(options['batch'] as number)
    show(report, screen)
    screen.result(report)
    return EXIT.done
  },
}

function show(report: InspectReport, screen: Screen): void {
  screen.print(report.name)
}
