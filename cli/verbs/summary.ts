import { EXIT } from '../exit.ts'
import { netText } from '../net-text.ts'
import { positiveInteger } from '../options.ts'
import { showBytes, showCount } from '../screen.ts'
import type { Verb } from '../verb.ts'
import { countOf } from '../../bundle/plain.ts'

export const summary: Verb = {
  name: 'summary',
  summary: 'list the layers of a net: shape of the output, parameters, FLOPs, and their sums',
  describe(command) {
    command.argument('<net>', 'a .net file, or a bundle')
      .option('--batch <n>', 'samples that shapes and FLOPs are for (default: shapes a sample, FLOPs of one)', positiveInteger)
      .addHelpText('after', '\nExamples:\n  fusenet summary samples/resnet20.net\n  fusenet summary out/mnist --batch 100 --json')
  },
  async run({ args, options, screen }) {
    const { summarize } = await import('../../compiler/summary.ts')
    const { main, readImport } = await netText(args[0]!)
    const given = options['batch'] as number | undefined
    const net = summarize(main, { readImport, ...(given !== undefined && { batch: given }) })
    screen.result(net)
    if (screen.json) return EXIT.done
    const shape = (dims: readonly (number | string)[]): string =>
      `[${dims.map((dim) => (dim === 'n' && given !== undefined ? given : dim)).join(', ')}]`
    const { totals } = net
    const number = (n: number): string => (n === 0 ? '' : String(n))
    screen.table(['layer', 'is', 'output', 'parameters', 'FLOPs'], [
      ...net.inputs.map((
        { name, shape: dims, classes },
      ): string[] => [name, classes === undefined ? 'input' : `input, ${classes} classes`, shape(dims), '', '']),
      ...net.layers.map((
        l,
      ): string[] => [
        l.name,
        l.op,
        shape(l.shape),
        `${number(l.parameters)}${l.kept > 0 ? ` + ${l.kept}` : ''}`,
        l.flops === 0 ? '' : showCount(l.flops),
      ]),
    ], [3, 4])
    const samples = given === undefined || given === 1 ? 'a sample' : `${given} samples`
    screen.print(`
${net.name}: ${countOf(totals.layers, 'layer')}, ${countOf(totals.parameters, 'parameter')}${
      totals.kept > 0 ? ` + ${totals.kept} running statistics` : ''
    }, ${showBytes(totals.weightBytes)} of weights
${showCount(totals.flops)} FLOPs to infer ${samples} (a multiplication and an addition are two)${
      totals.flopsOfLosses > 0 ? `, ${showCount(totals.flopsOfLosses)} more for losses and metrics` : ''
    }
${net.outputs.map(({ name, role, layer }) => `${role} ${name}${layer === name ? '' : ` = ${layer}`}`).join(', ')}`)
    return EXIT.done
  },
}
