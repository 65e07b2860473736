import { Option } from 'commander'
import { WASM } from '../../bundle/plans.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { EXIT, UsageError } from '../exit.ts'
import { positiveInteger, style, weights } from '../options.ts'
import { readFrom } from '../tensors.ts'
import { type ExportSettings, type Format, FORMATS } from '../export/target.ts'
import type { Verb } from '../verb.ts'

/** What a file is meant to be, by its ending. */
const ENDINGS: readonly (readonly [ending: string, to: Format])[] = [['.onnx', 'onnx'], ['.prototxt', 'caffe']]

/** Options that some formats alone take. */
const ONLY: Readonly<Record<string, readonly Format[]>> = { opset: ['onnx', 'onnx-step'], batch: ['caffe'] }

export const exportVerb: Verb = {
  name: 'export',
  summary: 'write a net as a model of ONNX or Caffe, or as a module of PyTorch, which other tools run and train',
  describe(command) {
    weights(style(command.argument('<net>', 'a .net file, or a bundle')))
      .addOption(new Option('--to <format>', "what is written (default: what the file's ending says)").choices(FORMATS))
      .requiredOption(
        '-o, --output <file>',
        'the file, which ends in .onnx, or in .prototxt: weights of Caffe go to the .caffemodel beside it; with --to torch a folder',
      )
      .option('--opset <n>', 'the operator set of ONNX, 13 to 23 (default: 17)', positiveInteger)
      .option('--batch <n>', 'with --to caffe: samples that a batch has (default: 1)', positiveInteger)
      .option('--fold', 'batch normalizations become part of the layers in front of them')
      .option('--no-check', 'not compared with onnxruntime-node, where it is installed')
      .addHelpText(
        'after',
        '\nExamples:\n  fusenet export out/mnist -o mnist.onnx\n  fusenet export net.net --weights w.safetensors --fold -o net.onnx\n  fusenet export out/mnist -o mnist.prototxt\n  fusenet export net.net --to torch -o net-torch\n  fusenet export net.net --to onnx-step -o step.onnx',
      )
  },
  async run({ args, options, screen }) {
    const file = options['output'] as string
    const to = (options['to'] ?? ENDINGS.find(([ending]) => file.toLowerCase().endsWith(ending))?.[1]) as Format | undefined
    if (to === undefined)
      throw new UsageError(`-o ${file}: a model of ONNX ends in .onnx, a net of Caffe in .prototxt; --to torch writes a folder`)
    const { started, TARGETS } = await import('../export/targets.ts')
    const target = TARGETS[to]
    if (target.ending !== undefined && !file.toLowerCase().endsWith(target.ending)) throw new UsageError(`-o ${file}: ${target.says}`)
    for (const [option, only] of Object.entries(ONLY))
      if (options[option] !== undefined && !only.includes(to)) throw new UsageError(`--${option} goes with --to ${only[0]!}`)
    if (options['check'] === false && !to.startsWith('onnx'))
      throw new UsageError('--no-check goes with --to onnx: nothing else is compared')
    const settings: ExportSettings = {
      fold: options['fold'] === true,
      check: options['check'] !== false,
      inputs: readFrom(args[0]!, options, []),
      ...(options['opset'] !== undefined && { opset: options['opset'] as number }),
      ...(options['batch'] !== undefined && { batch: options['batch'] as number }),
    }
    await target.prepare(file, settings)

    const net = await netOptions(options, screen)
    const loaded = await loadBundle(args[0]!, { ...net, only: { programs: target.programs ?? ['infer'], targets: [WASM] }, older: true })
    const isTrained = loaded.weights !== undefined
    const bundle = isTrained ? loaded : target.started?.(loaded) ?? await started(loaded)
    await target.write(file, bundle, { ...settings, ...(net.style && { style: net.style }), isTrained }, screen)
    return EXIT.done
  },
}
