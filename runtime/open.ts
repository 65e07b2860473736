import type { BundleSource, OpenOptions } from './open-options.ts'
import { type Device, DeviceError, type Precision } from '../bundle/device.ts'
import { copyOf } from '../bundle/copy.ts'
import { BundleError, InputError } from '../bundle/errors.ts'
import { archiveOf, fetchAt, fetchFiles } from './loading/fetch-files.ts'
import { type Bundle, HALF_PROGRAMS, type Manifest, type Storage, type TensorData } from '../bundle/format.ts'
import { halfPlanFor, planIn } from '../bundle/plans.ts'
import { bytesOf, type FileReader } from './loading/integrity.ts'
import { didYouMean } from '../bundle/nearest.ts'
import { LocalNet } from './net.ts'
import type { Net } from './net-api.ts'
import type { AnyNet, NetSpec } from './net-spec.ts'
import { checkValues } from './one-value.ts'
import { anything, batchRule, call, checkBytes, checkOptions, flag, list, oneOf, type Rule, whole } from '../bundle/options.ts'
import { DEVICE_CHOICES, findPlaces, lastResort, type Place } from './devices.ts'
import { plain, say } from '../bundle/plain.ts'
import { programFor, refuseMissing, refuseUnknown } from '../bundle/programs.ts'
import { StoredBundle } from './loading/read-bundle.ts'
import type { Chosen } from './saved/one-file.ts'
import { copyTensors } from './tensors.ts'
import { checkBundle } from './loading/validate.ts'

/**
 * Opens a bundle. The device is looked for first; then what it needs of the bundle is fetched, each file checked against the manifest.
 * Throws DeviceError for what the device cannot do, BundleError for files that are not what they should be, InputError for what is
 * handed in, and the signal's reason. `open<Mnist>(...)` knows the names of a net, with `Mnist` of the `bundle.d.ts` beside it.
 */
export async function open<S extends NetSpec = AnyNet, P extends Precision = 'f32'>(
  source: BundleSource,
  options?: OpenOptions<S, P>,
): Promise<Net<S, P>> {
  if (options?.worker) return await openThere(source, options as OpenOptions) as unknown as Net<S, P>
  return await openLocal(source, options as OpenOptions | undefined) as unknown as Net<S, P>
}

/** `open` in a worker. What that takes is loaded when it is asked for. */
async function openThere(source: BundleSource, options: OpenOptions): Promise<Net> {
  checkSource(source)
  const { weights, ...given } = checkOptions('open', options, RULES)
  const taken: Taken = {
    ...given,
    ...(weights !== undefined && { weights: weights === 'fresh' ? weights : copyTensors(weights, 'weights') }),
  }
  taken.signal?.throwIfAborted()
  const { openRemote } = await import('./on-demand.ts')
  return openRemote(source, taken as OpenOptions) as unknown as Promise<Net>
}

/** `open`, with the insides of the net. */
export async function openLocal(source: BundleSource, options?: OpenOptions): Promise<LocalNet> {
  checkSource(source)
  const { weights, ...given } = checkOptions('open', options, RULES)
  const taken: Taken = {
    ...given,
    ...(weights !== undefined && { weights: weights === 'fresh' ? weights : copyTensors(weights, 'weights') }),
  }
  const { signal } = taken
  signal?.throwIfAborted()
  const opening = openNow(source, taken)
  return signal ? unlessAborted(opening, signal) : opening
}

const isFunction = (value: unknown): boolean => typeof value === 'function'
const RULES: Readonly<Record<keyof OpenOptions, Rule>> = {
  device: [
    (v) => DEVICE_CHOICES.includes(v as string) || isFunction((v as Device | null)?.load),
    "'auto', 'webgpu', 'wasm' or a device that is handed in (await wasm(), await webgpu())",
  ],
  batch: batchRule,
  seed: whole,
  weights: anything,
  partial: flag,
  programs: list,
  storage: oneOf('f32', 'f16', 'auto'),
  allowOneValue: flag,
  worker: [
    (v) => typeof v === 'boolean' || isFunction(v) || isFunction((v as Worker | null)?.postMessage),
    'true, a Worker, or a function that makes one',
  ],
  fetch: [(v) => isFunction(v) || (typeof v === 'object' && v !== null), 'a function like fetch, or what it takes as its second argument'],
  signal: [(v) => isFunction((v as AbortSignal | null)?.throwIfAborted), 'an AbortSignal'],
  onProgress: call,
}

/** Options as they were checked, with nothing of the caller's in them that may change. */
type Taken = Omit<OpenOptions, 'weights'> & { readonly weights?: ReadonlyMap<string, TensorData> | 'fresh' }

function checkSource(source: unknown): void {
  const isObject = typeof source === 'object' && source !== null &&
    ('manifest' in source || source instanceof Map || source instanceof URL || isChosen(source))
  if (isObject || (typeof source === 'string' && source !== '' && !source.includes('{'))) return
  throw new InputError(
    `open takes a bundle: the URL of its folder, 'indexeddb://name', what compile(text) or readBundle gave, a file that a user chose, or a Map of its files; here is ${
      say(source)
    }`,
  )
}

/** A file, bytes of one, or a list of files. What is in them is asked when they are read. */
function isChosen(source: object): source is Chosen {
  const isFile = (each: unknown): boolean =>
    typeof (each as Blob | null)?.arrayBuffer === 'function' && typeof (each as Blob).size === 'number'
  return source instanceof Uint8Array || source instanceof ArrayBuffer || isFile(source) ||
    ('length' in source && Array.from(source as ArrayLike<unknown>).every(isFile))
}

/** Does not wait for what cannot be stopped: it is closed when it is done. */
function unlessAborted(opening: Promise<LocalNet>, signal: AbortSignal): Promise<LocalNet> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason)
      opening.then((net) => net.close(), () => {})
    }
    signal.addEventListener('abort', abort, { once: true })
    opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

async function openNow(source: BundleSource, options: Taken): Promise<LocalNet> {
  const { device: given = 'auto', programs } = options
  const { places, notes } = await findPlaces(given)
  const first = places[0]!.open()
  // Whoever awaits it hears of it; until then nobody does.
  first.catch(() => {})
  const closeFirst = (): Promise<void> =>
    first.then((device) => {
      if (places[0]!.owned) device.close()
    }, () => {})
  let bundle: Readable
  try {
    bundle = await readable(source, options)
    refuseUnknown(programs, bundle.targets.flatMap((target) => bundle.programsOf(target)))
  } catch (error) {
    await closeFirst()
    throw error
  }
  const usable = given === 'auto' ? places.filter(({ name }) => bundle.targets.includes(name)) : places
  if (!usable.includes(places[0]!)) await closeFirst()
  const failures: string[] = []
  for (const [i, place] of (usable.length > 0 ? usable : [await resort(bundle)]).entries()) {
    try {
      return await openOn(place, place === places[0] ? first : place.open(), bundle, options, [...notes, ...failures])
    } catch (error) {
      options.signal?.throwIfAborted()
      // What is wrong with the bundle or the options is so on any device.
      if (error instanceof BundleError || error instanceof InputError) throw error
      if (i >= usable.length - 1)
        throw failures.length > 0 ? new DeviceError(`${failures.join('; ')}. There: ${(error as Error).message}`) : error
      failures.push(`WebGPU failed, running on the CPU: ${(error as Error)?.message ?? String(error)}`)
    }
  }
  throw new DeviceError('there is no place to run')
}

async function resort({ targets }: Readable): Promise<Place> {
  if (targets.length === 0) throw new DeviceError('this bundle holds no kernels: compile it for webgpu or wasm')
  try {
    return await lastResort()
  } catch (error) {
    throw new DeviceError(
      `${(error as Error).message}. This bundle runs on ${
        targets.join(', ')
      } alone: with fusenet compile --targets webgpu,wasm it runs on a CPU too`,
    )
  }
}

function readerOf(files: ReadonlyMap<string, unknown>): FileReader {
  return async (name) => {
    const data = files.get(name)
    if (typeof data === 'string') return new TextEncoder().encode(data)
    if (data !== undefined) checkBytes(`the Map of a bundle's files, for ${name},`, data)
    return data as Uint8Array | undefined
  }
}

/** A source of a bundle, as `open` reads it. */
interface Readable {
  readonly manifest: Omit<Manifest, 'plans'>
  readonly targets: readonly string[]
  /** Programs of a plan. */
  programsOf(target: string): readonly string[]
  /**
   * Loads the files that a device needs to run programs of a plan (undefined: all programs); of all plans where the bundle has none of
   * that name.
   */
  load(target: string, programs: readonly string[] | undefined, device: Device): Promise<Bundle>
  /** All of it but weights, where `load` gives a part. */
  whole?(): Promise<Bundle>
}

/** The reader of files for a source. Readers that few pages need are loaded on demand. */
async function readerFor(source: Exclude<BundleSource, Bundle>, options: Taken): Promise<FileReader> {
  if (source instanceof Map) return readerOf(source)
  if (typeof source !== 'string' && !(source instanceof URL))
    return readerOf(await (await import('./on-demand.ts')).filesOf(source as Chosen))
  if (String(source).startsWith('indexeddb:')) return readerOf(await (await import('./on-demand.ts')).netFiles(source))
  const archive = archiveOf(source)
  if (!archive) return fetchFiles(source, options)
  const { bytes } = await bytesOf(fetchAt(archive, options), archive.href)
  return readerOf(await (await import('./on-demand.ts')).filesOf(bytes))
}

async function readable(source: BundleSource, options: Taken): Promise<Readable> {
  if (typeof source === 'object' && 'manifest' in source) {
    checkBundle(source)
    const { plans } = source.manifest
    return {
      manifest: source.manifest,
      targets: Object.keys(plans),
      programsOf: (target) => Object.keys(plans[target]?.programs ?? {}),
      load: async () => source,
    }
  }
  const read = await readerFor(source, options)
  const stored = await StoredBundle.find(read)
  const { plans } = stored.manifest
  return {
    manifest: stored.manifest,
    targets: Object.keys(plans),
    whole: () => stored.load({ weights: false }),
    programsOf: (target) => plans[target]?.parts.flatMap((part) => part.programs) ?? [],
    load: (target, programs) =>
      stored.load({
        ...(plans[target] && { targets: [target] }),
        ...(programs && { programs }),
        facts: false,
        weights: options.weights === undefined,
      }),
  }
}

async function openOn(
  { owned }: Place,
  opening: Promise<Device>,
  readable: Readable,
  options: Taken,
  notes: readonly string[],
): Promise<LocalNet> {
  const device = await opening
  try {
    const storage = chooseStorage(options, readable.targets, device)
    const target = storage === 'f16' ? halfPlanFor(device.name)! : planIn(readable.targets, device)
    const held = readable.programsOf(target)
    const programs = options.programs?.map((name) => programFor(readable.manifest, name))
    if (readable.targets.includes(target)) refuseMissing(readable.manifest, programs, held, storage)
    const { weights: brought, ...loaded } = await readable.load(target, programs, device)
    const { best, ...manifest } = loaded.manifest
    const stored = options.weights === undefined ? loaded : { ...loaded, manifest }
    const handed = options.weights === undefined ? brought : options.weights === 'fresh' ? undefined : options.weights
    const { weights, note } = options.partial && handed ? await fitting(stored, handed) : { weights: handed, note: undefined }
    const bundle: Bundle = { ...stored, ...(weights && { weights }) }
    const { batch, seed } = settle(options, bundle)
    options.signal?.throwIfAborted()
    const session = await device.load(bundle, batch, programs, storage)
    try {
      const net = new LocalNet({
        // What is handed in may be changed, what was read by this call or copied already may not.
        bundle: session.lend && !readable.whole && options.weights === undefined ? withOwnWeights(bundle) : bundle,
        device,
        ownsDevice: owned,
        session,
        storage,
        programs,
        held,
        allowOneValue: options.allowOneValue,
        seed,
        notes: note === undefined ? notes : [...notes, note],
        ...(readable.whole && { whole: readable.whole }),
      })
      await net.reset()
      options.signal?.throwIfAborted()
      return net
    } catch (error) {
      session.close()
      throw error
    }
  } catch (error) {
    if (owned) device.close()
    throw error
  }
}

const withOwnWeights = ({ weights, ...bundle }: Bundle): Bundle => ({
  ...bundle,
  ...(weights && { weights: new Map([...weights].map(([name, tensor]) => [name, { ...tensor, data: copyOf(tensor.data) }])) }),
})

/** Few nets start from another one's weights. */
async function fitting(
  bundle: Bundle,
  handed: ReadonlyMap<string, TensorData>,
): Promise<{ weights: ReadonlyMap<string, TensorData>; note: string }> {
  const { matchWeights, sayMatch } = await import('./on-demand.ts')
  const match = matchWeights(bundle, handed)
  return { weights: match.weights, note: sayMatch(match) }
}

/**
 * The batch and seed: those of the options, else those of the bundle. Throws InputError where options and bundle contradict each other.
 */
function settle(options: Taken, { manifest, weights }: Bundle): { batch: number; seed: number } {
  const { batch = manifest.train?.batch ?? 1, seed = manifest.train?.seed ?? 1 } = options
  if (!options.allowOneValue) checkValues(manifest, (options.programs ?? []).map((name) => programFor(manifest, name)), batch)
  const known = new Set(manifest.parameters.map((p) => p.name))
  const strange = [...(weights?.keys() ?? [])].filter((name) => !known.has(name))
  if (strange.length)
    throw new InputError(
      `these weights are not of this net: ${
        strange.map((name) => `${plain(name, 60)}${didYouMean(name, [...known])}`).join(', ')
      } (it has ${[...known].join(', ') || 'no parameters'})`,
    )
  return { batch, seed }
}

function chooseStorage({ storage = 'f32', programs }: Taken, plans: readonly string[], { name, half = false }: Device): Storage {
  if (storage === 'f32') return 'f32'
  const plan = halfPlanFor(name)
  const isThere = plan !== undefined && plans.includes(plan)
  if (storage === 'auto')
    return half && isThere && programs?.every((program) => HALF_PROGRAMS.includes(program)) ? 'f16' : 'f32'
  if (!plan) throw new DeviceError(`f16 storage is for WebGPU, this net would run on ${name}: leave storage out`)
  if (!half)
    throw new DeviceError(
      "this adapter has no shader-f16, so it cannot store f16: leave storage out (or 'auto', which takes f16 where it can)",
    )
  if (!isThere)
    throw new InputError("this bundle holds no plan with f16 storage: compile it with storage: 'f16' (fusenet compile --storage f16)")
  return 'f16'
}
