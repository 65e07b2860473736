import { InputError } from '../../bundle/errors.ts'
import type { LoadProgress } from '../loading/fetch-files.ts'
import type { BundleSource, OpenOptions } from '../open-options.ts'
import { Channel, moved } from './channel.ts'
import { SentDatasets } from './datasets.ts'
import type { OpenedNet } from './messages.ts'
import { type Listeners, RemoteNet } from './remote-net.ts'
import { nameIn, SCHEME } from '../saved/database.ts'
import { type Chosen, filesOf } from '../saved/one-file.ts'
import type { FetchAnswer } from './messages.ts'
import { startWorker, type WorkerOption } from './start.ts'

/** Opens a bundle in a worker. Options are checked. Throws what `open` throws, and DeviceError where there is no worker. */
export async function openRemote(
  source: BundleSource,
  { worker, fetch: given, signal, onProgress, device, weights, ...options }: OpenOptions & { readonly worker?: WorkerOption },
): Promise<RemoteNet> {
  if (typeof device === 'object')
    throw new InputError(
      "a device belongs to the thread that made it, and this net is to run in a worker: name it there, device: 'auto', 'webgpu' or 'wasm', or leave worker out",
    )
  const listeners: Listeners = { events: new Map(), evaluated: new Map() }
  const address = await sendableSource(source)
  let fail = (_: unknown): void => {}
  const stopped = new Promise<never>((_, reject) => {
    fail = reject
  })
  stopped.catch(() => {})
  const abort = (): void => fail(signal!.reason)
  signal?.addEventListener('abort', abort, { once: true })
  const starting = startWorker(worker!)
  const { port, lost, end } = await Promise.race([starting, stopped]).catch((error: unknown) => {
    // A worker that answers later is not needed any more.
    starting.then((late) => late.end(), () => {})
    signal?.removeEventListener('abort', abort)
    throw error
  })
  const datasets = new SentDatasets(() => channel)
  const channel: Channel = new Channel(port, {
    read: (...args: Parameters<SentDatasets['read']>) => datasets.read(...args),
    mark: (id: number) => datasets.mark(id),
    event: (id: number, ...args: Parameters<Parameters<Listeners['events']['set']>[1]>) => listeners.events.get(id)?.(...args),
    evaluated: (id: number, done: number, of: number) => listeners.evaluated.get(id)?.(done, of),
    fetch: async (url: string) =>
      moved(
        await answerOf(
          typeof given === 'function' ? await given(url, signal ? { signal } : {})
            : await globalThis.fetch(url, { ...given, ...(signal && { signal }) }),
        ),
      ),
    progress: (progress: LoadProgress) => {
      try {
        onProgress?.(progress)
      } catch (error) {
        fail(Object.assign(new Error('onProgress failed', { cause: error }), { name: 'CallerError' }))
      }
    },
  })
  lost.catch((why: unknown) => channel.end(why))
  try {
    signal?.throwIfAborted()
    const opening = channel.call(
      'open',
      address,
      moved({ ...options, ...(device !== undefined && { device }), ...(weights !== undefined && { weights }) }),
      { fetch: given !== undefined, progress: onProgress !== undefined },
    )
    const opened = await Promise.race([opening, stopped]) as OpenedNet
    return new RemoteNet({ channel, datasets, listeners, opened, end })
  } catch (error) {
    channel.tell('close')
    channel.end(error)
    end()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

async function answerOf(response: Response): Promise<FetchAnswer> {
  const { status, statusText, url, redirected, headers } = response
  return {
    status,
    statusText,
    url,
    redirected,
    type: headers?.get('content-type') ?? null,
    body: new Uint8Array(await response.arrayBuffer()),
  }
}

/**
 * The source of a bundle as a message can hold it: addresses relative to the page, not to the worker's script; lists of files with their
 * contents.
 */
async function sendableSource(source: BundleSource): Promise<unknown> {
  if (String(source).startsWith(SCHEME)) return `${SCHEME}//${nameIn(source as string | URL)}`
  if (typeof source === 'string' || source instanceof URL) return whole(String(source))
  if (
    'manifest' in source || source instanceof Map || source instanceof Uint8Array || source instanceof ArrayBuffer ||
    (typeof Blob !== 'undefined' && source instanceof Blob)
  ) return source
  return filesOf(source as Chosen)
}

function whole(address: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href
  try {
    return /^[a-z]:[\\/]/i.test(address) ? address : new URL(address, base).href
  } catch {
    return address
  }
}
