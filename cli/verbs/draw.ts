import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { EXIT } from '../exit.ts'
import { checkOutput, type OutputKind } from '../outputs.ts'
import { replaceFile } from '../../runtime/loading/node/files.ts'
import { netText } from '../net-text.ts'
import { wholeNumber } from '../options.ts'
import type { Verb } from '../verb.ts'

/** A drawing: it begins with the style sheet of `draw/svg.ts`. */
const DRAWING: OutputKind = {
  ending: /\.svg$/i,
  says: 'a drawing ends in .svg',
  isOurs: (head) => head.startsWith('<svg') && head.includes('.net-text {'),
}

export const draw: Verb = {
  name: 'draw',
  summary: 'draw a net as SVG: layers, blocks, what repeats folded; with --kernels what is fused',
  describe(command) {
    command.argument('<net>', 'a .net file, or a bundle')
      .option('-o, --output <file.svg>', 'where it is written (default: NAME.svg)')
      .option('--kernels', 'kernels of inference as colored regions, merged beside split')
      .option('--depth <n>', 'how many blocks within blocks are opened (default: as many as leave it legible)', wholeNumber)
      .addHelpText(
        'after',
        '\nExamples:\n  fusenet draw samples/resnet20.net -o resnet20.svg\n  fusenet draw samples/mnist.net --kernels -o fused.svg',
      )
  },
  async run({ args, options, screen }) {
    const named = options['output'] as string | undefined
    if (named !== undefined) await checkOutput(named, DRAWING, args)
    const { summarize } = await import('../../compiler/summary.ts')
    const { draw: drawn } = await import('../draw/draw.ts')
    const { main, readImport } = await netText(args[0]!)
    const net = summarize(main, { readImport })
    const depth = options['depth'] as number | undefined
    const kernels = options['kernels'] === true ? (await import('../draw/styles.ts')).bothStyles(main, { readImport }) : undefined
    const svg = drawn(net, { ...(depth !== undefined && { depth }), ...(kernels && { kernels }) })
    const file = named ?? `${net.name}.svg`
    if (named === undefined) await checkOutput(file, DRAWING, args)
    await mkdir(dirname(resolve(file)), { recursive: true })
    await replaceFile(file, svg)
    screen.result({ file, bytes: svg.length })
    screen.print(`wrote ${file}`)
    return EXIT.done
  },
}
