import { relative, resolve } from 'node:path'
import type { CompileOptions } from '../compiler/compile-options.ts'
import { checkOptions, flag, list, oneOf, type Rule, text, thing } from '../bundle/options.ts'

/** Options for compiling one imported net. Where one is absent, the file or the compiler decides. */
export interface NetFileOptions
  extends Pick<CompileOptions, 'programs' | 'targets' | 'style' | 'memory' | 'precise' | 'storage' | 'software' | 'schedules'> {
  /**
   * Its parameters: a `.safetensors` file, a snapshot, or the folder of a bundle (`out/digits`, as `fusenet train` writes it), from the root
   * of the project on, in a query from the net's own folder on. `fresh`: none. Default: `digits.safetensors` beside `digits.net`, if it is there.
   */
  readonly weights?: string
  /** `true`: parameters that the weights do not have, or have in another shape, start by their initializers in a build too. Default: a build refuses that. */
  readonly partial?: boolean
  /** `true`: the bundle is a part of the JavaScript, with nothing to fetch. It is a third larger so, and loaded whole. Default false. */
  readonly inline?: boolean
}

export interface FusenetOptions extends NetFileOptions {
  /** Options of single nets, by their files relative to the project's root: `{ 'src/digits.net': { programs: ['infer'] } }`. */
  readonly nets?: Readonly<Record<string, NetFileOptions>>
  /** Whether `digits.d.net.ts` is written beside `digits.net`, so that TypeScript knows inputs and outputs. Default: where the root has a tsconfig.json. */
  readonly types?: boolean
  /** Folder of the bundles below the output. Default: that of other assets, `assets`. */
  readonly assetsDir?: string
}

const NET_RULES: Readonly<Record<keyof NetFileOptions, Rule>> = {
  programs: list,
  targets: list,
  style: oneOf('merged', 'split'),
  memory: oneOf('fast', 'small'),
  precise: flag,
  storage: oneOf('f32', 'f16'),
  software: flag,
  schedules: thing,
  weights: text,
  partial: flag,
  inline: flag,
}

/** Throws InputError for options that there are not, and values that mean nothing. */
export function checkPlugin(options: FusenetOptions | undefined): FusenetOptions {
  const checked = checkOptions('fusenet', options, { ...NET_RULES, nets: thing, types: flag, assetsDir: text })
  for (const [file, own] of Object.entries(checked.nets ?? {})) checkOptions(`fusenet: nets[${JSON.stringify(file)}]`, own, NET_RULES)
  return checked
}

/** The file and the words behind `?` of a module's name. */
export function splitId(id: string): { file: string; query: URLSearchParams } {
  const at = id.indexOf('?')
  return at < 0 ? { file: id, query: new URLSearchParams() } : { file: id.slice(0, at), query: new URLSearchParams(id.slice(at + 1)) }
}

/** Words that a bundler itself puts behind `?`, or that ask it for something else than a compiled net. */
const OTHERS = ['raw', 'url', 'worker', 'sharedworker', 'no-inline']
/** Asks for the files of a bundle as a module. */
const FILES = 'fusenet-files'
const PASSED = ['import', 't', 'v', 'direct', FILES]

/** Whether a module is a net that is to be compiled. */
export function isNet(id: string): boolean {
  if (!/\.net(\?|$)/.test(id) || id.startsWith('\0')) return false
  const { query } = splitId(id)
  return !OTHERS.some((word) => query.has(word))
}

/** Whether an import has options of its own, so that it does not share the module of other imports of the file. */
export const asksOwn = (query: URLSearchParams): boolean => [...query.keys()].some((name) => !PASSED.includes(name))

/** Whether a request is for the module that holds a bundle's files. */
export const wantsFiles = (query: URLSearchParams): boolean => query.has(FILES)
export const filesQuery = (query: URLSearchParams): string => {
  const words = new URLSearchParams([...query].filter(([name]) => !PASSED.includes(name)))
  words.set(FILES, '')
  return words.toString().replace(/=(?=&|$)/g, '')
}

/** The options in the query of an import: `./digits.net?programs=infer&targets=webgpu,wasm&weights=./other.safetensors`. */
function queryOptions(file: string, query: URLSearchParams): NetFileOptions {
  const said = [...query].filter(([name]) => !PASSED.includes(name)).map(([name, value]): [string, unknown] => {
    const rule = Object.hasOwn(NET_RULES, name) ? NET_RULES[name as keyof NetFileOptions] : undefined
    if (rule === list) return [name, value.split(',').map((word) => word.trim()).filter(Boolean)]
    if (rule === flag) return [name, value === '' || value === 'true' ? true : value === 'false' ? false : value]
    return [name, name === 'weights' && value !== FRESH ? resolve(file, '..', value) : value]
  })
  const { schedules: _, ...rules } = NET_RULES
  return checkOptions('an import of a net', Object.fromEntries(said) as NetFileOptions, {
    ...rules,
    schedules: [(v) => v === undefined, 'the option of the plugin'],
  })
}

/** Stands in the place of weights: none. */
export const FRESH = 'fresh'

/** Everything said of one import; the closest word counts: the query, then `nets`, then the plugin's options. Throws InputError. */
export function optionsOf(
  file: string,
  query: URLSearchParams,
  root: string,
  { nets = {}, types: _, assetsDir: __, ...all }: FusenetOptions,
): NetFileOptions {
  const own = Object.entries(nets).find(([name]) => relative(resolve(root, name), file) === '')?.[1] ?? {}
  const given = { ...all, ...own }
  const weights = given.weights === undefined || given.weights === FRESH ? given.weights : resolve(root, given.weights)
  return { ...given, ...(weights !== undefined && { weights }), ...queryOptions(file, query) }
}
