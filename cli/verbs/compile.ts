import { Option } from 'commander'
import { bundleFiles } from '../../runtime/files.ts'
import type { Bundle } from '../../runtime/format.ts'
import { checkPlace, writeBundle } from '../../runtime/write-bundle.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { EXIT, UsageError } from '../exit.ts'
import { writeModule } from '../module.ts'
import { memory, storage, style, tuned, weights, precise } from '../options.ts'
import { showBytes } from '../screen.ts'
import type { Verb } from '../verb.ts'

export const compile: Verb = {
  name: 'compile',
  summary: 'compile a .net file to a bundle',
  describe(command) {
    storage(precise(tuned(weights(memory(style(command.argument('<file.net>', 'a program, or a bundle to compile again')
      .requiredOption('-o, --output <path>', 'the folder of the bundle; with --format esm a .js file')))))))
      .addOption(new Option('--format <format>', 'a folder of files, or one ES module with everything in it').choices(['folder', 'esm']).default('folder'))
  },
  async run({ args, options, screen }) {
    const output = options['output'] as string
    const asModule = options['format'] === 'esm'
    if (asModule && !/\.m?js$/.test(output)) throw new UsageError(`-o ${output}: an ES module ends in .js or .mjs`)
    if (!asModule) await checkPlace(output)
    const bundle = await loadBundle(args[0]!, await netOptions(options, screen))
    const written = asModule ? await writeModule(output, bundle) : await writeFolder(output, bundle)
    const { manifest } = bundle
    const kernels = Object.values(manifest.plans).reduce((sum, plan) => sum + plan.kernels.length, 0)
    const programs = Object.fromEntries(Object.entries(Object.values(manifest.plans)[0]?.programs ?? {}).map(([name, program]) => [name, program.dispatches.length]))
    screen.print(`${output}: ${manifest.name}, ${manifest.style}${manifest.memory ? `, memory ${manifest.memory}` : ''}, ${kernels} kernels, ${showBytes(written.bytes)}${bundle.weights ? ' with weights' : ', without weights'}`)
    screen.table(['program', 'dispatches'], Object.entries(programs), [1])
    screen.result({ output, name: manifest.name, style: manifest.style, memory: manifest.memory ?? 'fast', kernels, programs, weights: bundle.weights !== undefined, ...written })
    return EXIT.done
  },
}

async function writeFolder(output: string, bundle: Bundle): Promise<{ files: string[]; bytes: number }> {
  await writeBundle(bundle, output)
  const files = await bundleFiles(bundle)
  return { files: [...files.keys()], bytes: [...files.values()].reduce((sum, data) => sum + data.length, 0) }
}
