import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bundle, HALF_PLAN, type InputEntry, type Shape } from '../runtime/format.ts'
import { bundleFiles } from '../runtime/files.ts'
import { replaceFiles } from '../runtime/node-files.ts'
import { importPackage } from '../runtime/node-package.ts'
import { plain } from '../runtime/plain.ts'
import { withoutFacts } from '../runtime/stored.ts'
import { neededInputs } from './needed.ts'

/**
 * Writes a bundle as one ES module with nothing to fetch: the runtime, the manifest, the kernels and the weights, and
 * types beside it. It runs in a page and in Node as it is; for WebGPU in Node a device is handed in.
 */
export async function writeModule(file: string, bundle: Bundle): Promise<{ files: string[]; bytes: number }> {
  const types = file.replace(/\.(m?)js$/, '.d.$1ts')
  const code = await moduleCode(bundle)
  const declarations = moduleTypes(bundle)
  await replaceFiles(new Map([[types, declarations], [file, code]]))
  return { files: [basename(file), basename(types)], bytes: Buffer.byteLength(code) + Buffer.byteLength(declarations) }
}

/** What a bundle says, in a comment of generated code: it neither ends the line nor the comment, whatever it is. */
const inComment = (text: string): string => plain(text, 1000).replaceAll('*/', '* /')

async function moduleCode(bundle: Bundle): Promise<string> {
  const { build } = await importPackage<typeof import('esbuild')>('esbuild')
  // The sources when this runs from them, else what was built of them.
  const runtime = (name: string): string => JSON.stringify(fileURLToPath(new URL(`../runtime/${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)))
  const files = [...await bundleFiles(withoutFacts(bundle))]
  const isText = ([name]: readonly [string, unknown]): boolean => /\.(json|wgsl)$/.test(name)
  const texts = files.filter(isText).map(([name, data]) => [name, Buffer.from(data).toString()])
  const binaries = files.filter((file) => !isText(file)).map(([name, data]) => [name, Buffer.from(data).toString('base64')])
  const built = await build({
    stdin: {
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
      contents: `
        import { open as openBundle } from ${runtime('open')}
        export { webgpu } from ${runtime('webgpu')}
        export { wasm } from ${runtime('wasm')}
        export { DeviceError } from ${runtime('device')}
        export { BundleError, InputError } from ${runtime('errors')}
        const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
        export const files = new Map([...${JSON.stringify(texts)}, ...${JSON.stringify(binaries)}.map(([name, data]) => [name, bytes(data)])])
        export const open = (options) => openBundle(files, options)`,
    },
    bundle: true, write: false, format: 'esm', platform: 'neutral', target: 'es2022', minify: true, legalComments: 'none',
    banner: { js: `// ${inComment(`${bundle.manifest.name} (${bundle.manifest.style})`)}, compiled by fusenet.` },
  })
  return built.outputFiles[0]!.text
}

/** Classes that a comment names. */
const MOST_NAMED = 20

function moduleTypes(bundle: Bundle): string {
  const { inputs, outputs, parameters, train } = bundle.manifest
  const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name))
  const what = (shape: Shape): string => `[${shape.join(', ')}]`
  const array = (entry: InputEntry): string => (entry.type === 'i32' ? 'Int32Array | Uint8Array | Lists' : 'Float32Array | Lists')
  const inputType = (name: string, entries: readonly InputEntry[]): string => [
    `export interface ${name} {`,
    ...entries.map((entry) => `  /** ${entry.classes === undefined ? 'float32' : `0..${entry.classes - 1}`} ${what(entry.shape)}${entry.classNames ? `: ${called(entry.classNames)}` : ''} */\n  readonly ${key(entry.name)}: ${array(entry)}`),
    '}',
  ].join('\n')
  const called = (names: readonly string[]): string => inComment(names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ', ...' : ''))
  const namesOf = (label: string | undefined): readonly string[] | undefined => inputs.find(({ name }) => name === label)?.classNames
  const scored = ({ scores }: { scores?: string }): string => (namesOf(scores) ? `: of ${called(namesOf(scores)!)}` : '')
  const label = inputs.find(({ classes }) => classes !== undefined)
  const infers = neededInputs(bundle, 'infer')
  const results = outputs.filter((output) => output.role === 'output')
  const record = (name: string, entries: readonly { name: string; shape: Shape; scores?: string }[]): string => [
    `export interface ${name} {`,
    ...entries.map((entry) => `  /** ${what(entry.shape)}${scored(entry)} */\n  readonly ${key(entry.name)}: Float32Array`),
    '}',
  ].join('\n')
  return `// ${inComment(`${bundle.manifest.name} (${bundle.manifest.style})`)}, compiled by fusenet. n is the batch that the net is opened with.

${inputType('Inputs', infers)}

${record('Outputs', results)}
${train ? `
${inputType('TrainInputs', inputs)}

${record('TrainOutputs', outputs)}

${record('Gradients', [...parameters.filter((parameter) => parameter.trainable), ...inputs.filter((input) => input.type === 'f32')])}
` : ''}
/** Numbers, or lists of them in the shape of an input. */
export type Lists = readonly (number | Lists)[]
/** By name; numbers alone have the shape that the net has. */
export type Tensors = ReadonlyMap<string, TensorLike> | Readonly<Record<string, TensorLike>>
export type TensorLike = Tensor['data'] | readonly number[] | { readonly shape: readonly number[]; readonly type?: Tensor['type'] | undefined; readonly data: Tensor['data'] | readonly number[] }
export interface Tensor {
  readonly shape: readonly number[]
  readonly type: 'f32' | 'i32' | 'f64' | 'u8' | 'i64'
  readonly data: Float32Array | Int32Array | Float64Array | Uint8Array | BigInt64Array
}

export interface Net {
  readonly batch: number
${label?.classNames ? `  /** What the classes of ${label.name} are called. */
  readonly classes: readonly [${label.classNames.map((name) => JSON.stringify(name)).join(', ')}]
` : ''}  /** Infers one batch. */
  run(inputs: Inputs, options?: { readonly stats?: 'global' | 'batch' }): Promise<Outputs>
${train ? `  /** One training step with everything it computed; \`update: false\` leaves the parameters as they are. */
  step(inputs: TrainInputs, options?: { readonly update?: boolean; readonly rate?: number }): Promise<{ readonly loss: number; readonly outputs: TrainOutputs; readonly grads: Gradients; readonly nonFinite: number }>
  /** One update; the loss can be awaited later. It rejects with a NonFiniteError where numbers stop being finite, unless \`keepGoing\` is set. */
  trainStep(inputs: TrainInputs, options?: { readonly rate?: number; readonly keepGoing?: boolean }): Promise<{ readonly step: number; readonly rate: number; readonly loss: Promise<number> }>
` : ''}  parameters(): Promise<Map<string, Tensor>>
  setParameters(values: Tensors, options?: { readonly strict?: boolean }): Promise<void>
  close(): void
}

/** A device of fusenet's runtime. */
export interface Device {
  readonly name: string
  readonly description: string
  readonly software: boolean
  close(): void
}

export interface OpenOptions {
  /** auto: graphics hardware where there is some, else wasm, the CPU. */
  readonly device?: 'auto' | 'webgpu' | 'wasm' | Device
  /** Default: ${train ? train.batch : 1}. */
  readonly batch?: number
  readonly seed?: number
  /** Instead of those in here; \`'fresh'\`: initial values. */
  readonly weights?: Tensors | 'fresh'
  /** \`['infer']\`: what training alone needs is neither compiled nor allocated. */
  readonly programs?: readonly string[]
  /** Batch statistics may rest on one value: \`batch_norm\` behind \`fc\` at batch 1. Refused by default. */
  readonly allowOneValue?: boolean
${bundle.manifest.plans[HALF_PLAN] ? `  /** f16: infers with half the bytes, on adapters with shader-f16; auto: where there is one and \`programs\` is \`['infer']\`. */
  readonly storage?: 'f32' | 'f16' | 'auto'
` : ''}}

export declare function open(options?: OpenOptions): Promise<Net>
/** In Node: \`webgpu({ gpu: create([]) })\` with \`create\` of the package webgpu. */
export declare function webgpu(options?: { readonly gpu?: unknown; readonly adapter?: unknown; readonly powerPreference?: 'low-power' | 'high-performance' }): Promise<Device>
export declare function wasm(options?: { readonly threads?: number; readonly relaxed?: boolean }): Promise<Device>
/** The files of the bundle, by their names: \`open\` of fusenet's runtime takes them as it takes the URL of a folder. */
export declare const files: ReadonlyMap<string, string | Uint8Array>
export declare class InputError extends Error {}
export declare class DeviceError extends Error {}
export declare class BundleError extends Error {
  readonly problems: readonly { readonly path: string; readonly message: string }[]
}
`
}
