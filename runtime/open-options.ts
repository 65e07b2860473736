import type { Device, Precision } from '../bundle/device.ts'
import type { Bundle, Storage } from '../bundle/format.ts'
import type { Host } from './host-types.ts'
import type { FetchOptions } from './loading/fetch-files.ts'
import type { Parameters } from './net-api.ts'
import type { AnyNet, NetSpec } from './net-spec.ts'
import type { WorkerOption } from './remote/start.ts'
import type { Chosen } from './saved/one-file.ts'

/**
 * A bundle: in memory; its files by their names below its folder; the URL of that folder; `indexeddb://name`, as `net.save` keeps it in this
 * browser; or what a user chose: one archive, as `download` makes it, or the files of a folder.
 */
export type BundleSource = Bundle | ReadonlyMap<string, Uint8Array | string> | string | Host<'URL'> | Chosen

export interface OpenOptions<S extends NetSpec = AnyNet, P extends Precision = Precision> extends FetchOptions {
  /**
   * `auto` (the default): WebGPU where this page has graphics hardware for it, else `wasm`, the CPU; also where WebGPU fails while the
   * net is loaded, which `net.notes` then says. Any other device is handed in, and stays open.
   */
  readonly device?: 'auto' | 'webgpu' | 'wasm' | Device<P>
  /** Samples at a time. Default: what the file trains with, else 1. */
  readonly batch?: number
  /** The seed of initial parameters, dropout and shuffling. Default: the file's. */
  readonly seed?: number
  /**
   * Instead of what the bundle brings, in a Map or a plain object, and copied; what is absent in them starts by its initializer. `fresh`:
   * all parameters do.
   */
  readonly weights?: Parameters<S> | 'fresh'
  /**
   * Takes of `weights` what fits by name and shape, as those of a net with another head, and lets all else start fresh; `net.notes` says which. `false`, the
   * default: weights that the net does not have are refused. `matchWeights` does it apart from `open`.
   */
  readonly partial?: boolean
  /** The programs that will run. What others need is neither fetched nor compiled nor allocated: `['infer']` does without all that training alone needs. */
  readonly programs?: readonly S['programs'][]
  /**
   * `f16`: infers and evaluates with values between layers and weights stored as f16; throws where the device has no
   * `shader-f16` or the bundle no such plan (compile with `storage: 'f16'`). `auto`: so where both are there and `programs`
   * names nothing else. Default `f32`.
   */
  readonly storage?: Storage | 'auto'
  /**
   * A `batch_norm` whose batch statistics would rest on one value (n x h x w = 1: behind `fc` at batch 1) learns nothing and lets
   * nothing in front of it learn, so running such a program is refused. `true`: it runs all the same. Default false.
   */
  readonly allowOneValue?: boolean
  /**
   * `true`: the net runs in a worker of its own, and this thread is never held up by it; arrays change hands, all else is as without, errors, progress and
   * `signal` too. A worker, or a function that makes one, where a page's bundler or policy asks for its own: its script is to `import 'fusenet/worker'`; one that is
   * handed in may have several nets, and stays when they are closed. Default false.
   */
  readonly worker?: WorkerOption
}
