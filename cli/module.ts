import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { declareBundle, headOf } from '../runtime/declare-bundle.ts'
import { InputError } from '../bundle/errors.ts'
import { bundleFiles, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import type { Bundle } from '../bundle/format.ts'
import { kindOf } from './files.ts'
import { checkOutput, type OutputKind, refuseInputs, refuseOthers } from './outputs.ts'
import { replaceFiles } from '../runtime/loading/node/files.ts'
import { importPackage } from '../runtime/loading/node/package.ts'
import { withoutFacts } from '../bundle/stored.ts'
import { inlineWorker, workerScript } from './module-worker.ts'

export interface ModuleOptions {
  /** The weights are a file beside the module, which fetches them when the net is opened. Default: they are in it. */
  readonly weightsBeside?: boolean
  /** `false`: without the script of a worker, for `open({ worker: true })`. */
  readonly worker?: boolean
}

/** Modules and their types begin as `headOf` has it. */
const MODULE: OutputKind = {
  ending: /\.m?js$/,
  says: 'an ES module ends in .js or .mjs',
  isOurs: (head) => /^\/\/ .* \((merged|split)\), compiled by fusenet\. /.test(head),
}
const typesOf = (file: string): string => file.replace(/\.(m?)js$/, '.d.$1ts')
const weightsOf = (file: string): string => file.replace(/\.m?js$/, '.weights.safetensors')

/** Refuses a place for a module, with what goes beside it. `inputs`: what the command reads. Throws UsageError and InputError. */
export async function checkModule(file: string, inputs: readonly string[], weightsBeside: boolean): Promise<void> {
  await checkOutput(file, MODULE, inputs)
  await refuseInputs(typesOf(file), inputs)
  await refuseOthers(typesOf(file), MODULE)
  if (!weightsBeside) return
  await refuseInputs(weightsOf(file), inputs)
  // Weights do not say who wrote them; those beside a module of fusenet are fusenet's.
  if (await kindOf(file) === undefined && await kindOf(weightsOf(file)) !== undefined)
    throw new InputError(`${weightsOf(file)} is there already: name another file`)
}

/**
 * Writes a bundle as one ES module: the runtime, the manifest, the kernels and the weights, and types beside it. It runs in a page and in
 * Node as it is; for WebGPU in Node a device is handed in. Throws InputError where there are no weights to lie beside it.
 */
export async function writeModule(
  file: string,
  bundle: Bundle,
  { weightsBeside = false, worker = true }: ModuleOptions = {},
): Promise<{ files: string[]; bytes: number }> {
  // A module is not compiled again.
  const { schedules: _, ...manifest } = bundle.manifest
  const stored = await bundleFiles(withoutFacts({ ...bundle, manifest }))
  const weights = weightsBeside ? stored.get(WEIGHTS_FILE) : undefined
  if (weightsBeside && !weights)
    throw new InputError(
      `${bundle.manifest.name} has no weights to lie beside the module: name them with --weights, or leave out --weights-beside`,
    )
  const beside = weights && weightsOf(file)
  if (weights) stored.delete(WEIGHTS_FILE)
  const written = new Map<string, string | Uint8Array>([
    ...(weights ? [[beside!, weights] as const] : []),
    [typesOf(file), await moduleTypes(bundle)],
    [file, await moduleCode(headOf(bundle), stored, beside && basename(beside), worker)],
  ])
  await replaceFiles(written)
  return {
    files: [...written.keys()].reverse().map((name) => basename(name)),
    // Types are for editors: no page fetches them.
    bytes: [...written].reduce((sum, [name, data]) => sum + (name === typesOf(file) ? 0 : Buffer.byteLength(data)), 0),
  }
}

const FROM_SOURCES = import.meta.url.endsWith('.ts')

/** `beside`: the name of the file with the weights. */
async function moduleCode(
  head: string,
  stored: ReadonlyMap<string, Uint8Array>,
  beside: string | undefined,
  worker: boolean,
): Promise<string> {
  const { build } = await importPackage<typeof import('esbuild')>('esbuild')
  const runtime = (name: string): string =>
    JSON.stringify(fileURLToPath(new URL(`../runtime/${name}${FROM_SOURCES ? '.ts' : '.js'}`, import.meta.url)))
  const isText = ([name]: readonly [string, unknown]): boolean => /\.(json|wgsl)$/.test(name)
  const texts = [...stored].filter(isText).map(([name, data]) => [name, Buffer.from(data).toString()])
  const binaries = [...stored].filter((file) => !isText(file)).map(([name, data]) => [name, Buffer.from(data).toString('base64')])
  const built = await build({
    // Else it is the working folder of when esbuild was first loaded.
    absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
    stdin: {
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
      contents: `
        import { open as openBundle } from ${runtime('open')}
        ${beside === undefined ? '' : `import { weightsBeside } from ${runtime('loading/weights-beside')}`}
        export * from ${runtime('index')}
        export { openBundle }
        const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
        export const files = new Map([...${JSON.stringify(texts)}, ...${
        JSON.stringify(binaries)
      }.map(([name, data]) => [name, bytes(data)])])
        export const open = ${
        beside === undefined ? '(options) => openBundle(files, options)'
          // Bundlers know the file by this very expression.
          : `async (options) => openBundle(await weightsBeside(files, new URL(${
            JSON.stringify(`./${beside}`)
          }, import.meta.url), options), options)`
      }`,
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
    plugins: [inlineWorker(worker ? workerScript(FROM_SOURCES ? '.ts' : '.js') : undefined)],
    banner: { js: head },
  })
  return built.outputFiles[0]!.text
}

/** All that the library has, and `open` of this net. */
async function moduleTypes(bundle: Bundle): Promise<string> {
  const library = await libraryTypes()
  const { name, code } = declareBundle(bundle, new Set([...library.match(/[A-Za-z_$][\w$]*/g) ?? [], 'files', 'openThis']))
  return `${headOf(bundle)}

${code}
/** Opens the net that this module holds: \`open\` of the library, which is \`openBundle\` here, with its bundle. */
declare function openThis<P extends Precision = 'f32'>(options?: OpenOptions<${name}, P>): Promise<Net<${name}, P>>
/** The files of the bundle, by their names; weights that lie beside the module are not among them. */
declare const files: ReadonlyMap<string, string | Uint8Array>
export { files, openThis as open }

// The library.

${library}`
}

/** The package has them as a file; from the sources they are joined now. */
async function libraryTypes(): Promise<string> {
  if (!FROM_SOURCES) return readFile(new URL('../runtime/module-types.txt', import.meta.url), 'utf8')
  const script = '../scripts/join-types.mjs'
  return (await import(script) as { joinTypes(): string }).joinTypes()
}
