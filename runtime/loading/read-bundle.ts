import { BundleError, InputError } from '../../bundle/errors.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../../bundle/file-names.ts'
import { type Bundle, type ModuleEntry, type Plan, type TensorData } from '../../bundle/format.ts'
import { bytesOf, type FileReader, jsonOf, problem, textOf } from './integrity.ts'
import { readSafetensors } from './safetensors.ts'
import { sealedText, sha256 } from './seal.ts'
import { type PackedPart, unpackFacts, unpackParts } from '../../bundle/packed-plan.ts'
import type { StoredManifest, StoredPlan } from '../../bundle/stored.ts'
import { checkBundle } from './validate.ts'
import { storedProblemsOf } from '../../bundle/validate/stored.ts'

/** What is wanted of a bundle; of all that is absent, everything. */
export interface Choice {
  /** These plans; those that the bundle does not have are passed over. */
  readonly targets?: readonly string[]
  /** What these programs need (and `prepare`). Those that the bundle does not have are passed over. */
  readonly programs?: readonly string[]
  /** `false`: not what is for reading alone. */
  readonly facts?: boolean
  /** `false`: the net is to be untrained, or gets other weights. */
  readonly weights?: boolean
}

/** A bundle of which the manifest alone was read so far. */
export class StoredBundle {
  readonly manifest: StoredManifest
  readonly #read: FileReader
  /** Files by name: what was read is not read again for another plan. */
  readonly #files = new Map<string, ReturnType<typeof bytesOf>>()

  private constructor(manifest: StoredManifest, read: FileReader) {
    this.manifest = manifest
    this.#read = read
  }

  /** Reads `bundle.json`. Throws BundleError where it is not there, is something else, or contradicts itself. */
  static async find(read: FileReader): Promise<StoredBundle> {
    const { bytes, found } = await bytesOf(
      read,
      MANIFEST_FILE,
      undefined,
      '; a bundle is a folder with bundle.json: fusenet compile makes it of a .net file',
    )
    const json = jsonOf(bytes, MANIFEST_FILE, found)
    const problems = storedProblemsOf(json, found.from)
    if (problems.length > 0) throw new BundleError(problems)
    const bundle = new StoredBundle(json as StoredManifest, read)
    const hash = await sha256(sealedText(bundle.manifest))
    if (hash !== bundle.manifest.sha256)
      throw problem(MANIFEST_FILE, found, `was changed: the SHA-256 of what it says is ${hash}, not ${bundle.manifest.sha256}`)
    return bundle
  }

  /** Reads what is wanted, all at once. Throws BundleError for what is not as the manifest promises it. */
  async load(choice: Choice = {}): Promise<Bundle> {
    const { manifest } = this
    const names = Object.keys(manifest.plans).filter((target) => !choice.targets || choice.targets.includes(target))
    const files = new Map<string, string | Uint8Array>()
    const plans = names.map((target) => this.#plan(target, manifest.plans[target]!, choice, files))
    const weights = manifest.weights && choice.weights !== false ? this.#weights(manifest.weights) : undefined
    const [read, tensors] = await Promise.all([Promise.all(plans), weights])
    const { plans: _, files: __, weights: ___, sha256: ____, ...rest } = manifest
    const bundle: Bundle = {
      manifest: { ...rest, plans: Object.fromEntries(names.map((name, i) => [name, read[i]!])) },
      files,
      ...(tensors && { weights: tensors }),
    }
    checkBundle(bundle)
    return bundle
  }

  async #plan(target: string, { parts, facts }: StoredPlan, choice: Choice, files: Map<string, string | Uint8Array>): Promise<Plan> {
    const last = choice.programs ? Math.max(0, ...choice.programs.map((name) => parts.findIndex((part) => part.programs.includes(name))))
      : parts.length - 1
    // Pages have no use for wide modules, and do not fetch them.
    const wanted = parts.slice(0, last + 1).map((part) => (part.module && !isNode ? { ...part, module: withoutWide(part.module) } : part))
    const take = async (name: string): Promise<void> => {
      // Takes its place at once: files stand in the order of the plans, whichever is read first.
      files.set(name, '')
      const { bytes, found } = await this.#file(name)
      files.set(name, name.endsWith('.wasm') ? bytes : textOf(bytes, name, found))
    }
    const [read, told] = await Promise.all(
      [
        Promise.all(wanted.map((part) => this.#json(part.plan, PART))),
        facts !== undefined && choice.facts !== false ? this.#json(facts, {}) : undefined,
        ...wanted.flatMap(({ kernels = [], module }) =>
          [...kernels, ...(module ? [module.file, ...(module.wide === undefined ? [] : [module.wide])] : [])].map(take)
        ),
      ] as const,
    )
    const modules = Object.fromEntries(wanted.flatMap(({ group, module }) => (module ? [[group, module]] : [])))
    const plan: Plan = {
      target,
      ...unpackParts(read as unknown as PackedPart[]),
      ...(Object.keys(modules).length > 0 && { modules }),
    }
    return told ? withFacts(plan, told) : plan
  }

  async #weights(names: readonly string[]): Promise<ReadonlyMap<string, TensorData>> {
    const { bytes, found } = await this.#file(
      WEIGHTS_FILE,
      "; this bundle was written with weights: without them its net is untrained. If that is wanted: open(..., { weights: 'fresh' }), --weights fresh",
    )
    try {
      const { tensors } = readSafetensors(bytes, WEIGHTS_FILE)
      const other = names.filter((name) => !tensors.has(name))
      if (other.length > 0 || tensors.size !== names.length)
        throw problem(
          WEIGHTS_FILE,
          found,
          `holds other tensors than the manifest says (${other.join(', ') || `${tensors.size}, not ${names.length}`})`,
        )
      return tensors
    } catch (error) {
      throw error instanceof InputError ? problem(WEIGHTS_FILE, found, error.message.replace(`${WEIGHTS_FILE}: `, '')) : error
    }
  }

  /** A JSON file that has at least the lists that these have. */
  async #json(name: string, like: object): Promise<Record<string, unknown>> {
    const { bytes, found } = await this.#file(name)
    const value = jsonOf(bytes, name, found)
    const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v)
    if (!isObject(value)) throw problem(name, found, 'is not an object')
    for (const [key, kind] of Object.entries(like)) {
      if (kind === 'list' ? !Array.isArray(value[key]) : !isObject(value[key]))
        throw problem(name, found, `${key}: ${kind === 'list' ? 'a list' : 'an object'} is wanted`)
    }
    return value
  }

  #file(name: string, hint = ''): ReturnType<typeof bytesOf> {
    const known = this.#files.get(name)
    if (known) return known
    const reading = bytesOf(this.#read, name, this.manifest.files[name], hint)
    // Nobody may be waiting for it yet.
    reading.catch(() => {})
    this.#files.set(name, reading)
    return reading
  }
}

const PART = { names: 'list', types: 'list', buffers: 'list', tensors: 'list', kernels: 'list', programs: 'object' }

function withFacts(plan: Plan, told: Record<string, unknown>): Plan {
  const facts = unpackFacts(told)
  const programs = Object.entries(plan.programs).map(([name, program]) => {
    const own = Object.hasOwn(facts, name) ? facts[name]! : []
    return [name, { ...program, dispatches: program.dispatches.map((d, i) => ({ ...d, ...(own[i] && { facts: own[i] }) })) }]
  })
  return { ...plan, programs: Object.fromEntries(programs) }
}

/** Reads a bundle from its files. Throws BundleError for what is not there or does not agree. */
export async function bundleFrom(read: FileReader, choice: Choice = {}): Promise<{ bundle: Bundle }> {
  const stored = await StoredBundle.find(read)
  return { bundle: await stored.load(choice) }
}

const isNode = (globalThis as { process?: { getBuiltinModule?: unknown } }).process?.getBuiltinModule !== undefined

const withoutWide = ({ wide: _, ...module }: ModuleEntry): ModuleEntry => module
