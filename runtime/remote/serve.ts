/** The worker's side: nets that pages opened here, each over a port of its own. */
import { LocalNet } from '../net.ts'
import type { Inputs } from '../net-api.ts'
import { openLocal } from '../open.ts'
import type { BundleSource, OpenOptions } from '../open-options.ts'
import { InputError } from '../../bundle/errors.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Tensors } from '../tensors.ts'
import type { TrainEvent, TrainOptions } from '../train-options.ts'
import type { EvaluateOptions } from '../evaluate-options.ts'
import type { TensorData } from '../../bundle/format.ts'
import { Channel, detached, moved, type Port } from './channel.ts'
import { ReceivedDatasets } from './datasets.ts'
import { type DeviceFacts, type FetchAnswer, GREETING, HOLDS, lockManager, type NetState, type OpenedNet,
  type SentDataset } from './messages.ts'

interface Scope {
  addEventListener(type: 'message', hear: (event: { readonly data: unknown }) => void): void
}

/** Answers pages that greet this worker. Everything else that it is told is left alone. */
export function serve(scope: Scope = hereFor()): void {
  scope.addEventListener('message', ({ data }) => {
    const port = (data as Record<string, unknown> | null)?.[GREETING] as Port | undefined
    if (port === undefined) return
    const closed = new Promise<void>((close) => host(port, close))
    const { lock } = data as { readonly lock?: string }
    const ready = (): void => port.postMessage('ready', [])
    if (lock === undefined) return ready()
    const hold = (): Promise<void> => (port.postMessage(HOLDS, []), closed)
    Promise.resolve(lockManager()?.request(lock, hold) ?? ready()).catch(ready)
  })
}

/** This worker, of a page or of Node. */
function hereFor(): Scope {
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): { parentPort: { on(event: 'message', hear: (data: unknown) => void): void } | null } }
  }
  const parent = process?.getBuiltinModule?.('node:worker_threads').parentPort
  return parent ? { addEventListener: (_, hear) => parent.on('message', (data) => hear({ data })) } : globalThis as unknown as Scope
}

/** A training that a page follows: it may be ahead of the page by some events. */
interface Training {
  sent: number
  taken: number
  stopped: boolean
  wake: () => void
}

const AHEAD = 4

function host(port: Port, closed: () => void): void {
  let opened: LocalNet | undefined
  const net = (): LocalNet => {
    if (!opened) throw new InputError('no net was opened')
    return opened
  }
  const aborting = new AbortController()
  const trainings = new Map<number, Training>()
  const kept = new Map<number, unknown>()
  let next = 1
  const keep = (value: unknown): number => (kept.set(next, value), next++)
  const take = (key: number): unknown => {
    const value = kept.get(key)
    kept.delete(key)
    return value
  }
  const state = (about = false): NetState => {
    const { steps, seed, notes, frozen, identity, manifest } = net()
    const { trainingLength } = LocalNet.executorOf(net())
    const classes = (): NetState['classes'] =>
      Object.fromEntries(manifest.inputs.flatMap(({ name }) => {
        const names = net().classesOf(name)
        return names ? [[name, names]] : []
      }))
    return { steps, seed, horizon: trainingLength, notes: [...notes], frozen: [...frozen], ...(about && { identity, classes: classes() }) }
  }
  /** A result with what has become of the net; nothing in it is the net's own. */
  const answer = (result: unknown, about = false): unknown => moved({ result: detached(result), state: state(about) })
  const datasets = new ReceivedDatasets(() => channel)

  const channel: Channel = new Channel(port, {
    open: async (
      source: BundleSource,
      options: OpenOptions,
      has: { readonly fetch: boolean; readonly progress: boolean },
    ): Promise<OpenedNet> => {
      opened = await openLocal(source, {
        ...options,
        signal: aborting.signal,
        ...(has.fetch && { fetch: async (url: string) => response(await channel.call('fetch', url) as FetchAnswer) }),
        ...(has.progress && { onProgress: (progress) => channel.tell('progress', progress) }),
      })
      const { manifest: { plans: _, ...manifest }, device, batch, storage } = opened
      return {
        manifest,
        device: factsOf(device),
        batch,
        storage,
        state: state(true),
        needs: { run: needed(opened, ['infer']), step: needed(opened, ['train', 'step', 'gradients']) },
      }
    },
    abort: (reason: unknown) => aborting.abort(reason),
    close: () => {
      aborting.abort()
      for (const training of trainings.values()) {
        training.stopped = true
        training.wake()
      }
      opened?.close()
      channel.end(new Error('closed'))
      closed()
    },
    run: async (inputs: Inputs, options?: object) => answer(await net().run(inputs, options)),
    step: async (inputs: Inputs, options?: object) => answer(await net().step(inputs, options)),
    trainStep: async (inputs: Inputs | readonly Inputs[], options?: object) => {
      const { step, rate, loss } = await net().trainStep(inputs, options)
      return { result: { step, rate, loss: keep(loss) }, state: state() }
    },
    loss: (key: number) => take(key),
    train: async (id: number, sent: SentDataset, options: TrainOptions) => {
      const training: Training = { sent: 0, taken: 0, stopped: false, wake: () => {} }
      trainings.set(id, training)
      const ahead = Number.isSafeInteger(options?.ahead) ? options.ahead! : AHEAD
      try {
        for await (const event of net().train(datasets.dataset(sent), options)) {
          channel.tell('event', id, event, state(training.sent++ === 0))
          // Where nothing may be under way, the page looks first.
          const most = settles(event) ? 0 : ahead
          while (!training.stopped && training.sent - training.taken > most)
            await new Promise<void>((resolve) => {
              training.wake = resolve
            })
          if (training.stopped) break
        }
      } finally {
        trainings.delete(id)
      }
      return { state: state(true) }
    },
    taken: (id: number) => {
      const training = trainings.get(id)
      if (!training) return
      training.taken++
      training.wake()
    },
    stop: (id: number) => {
      const training = trainings.get(id)
      if (!training) return
      training.stopped = true
      training.wake()
    },
    evaluate: async (id: number, sent: SentDataset, options: EvaluateOptions, hasProgress: boolean) =>
      answer(
        await net().evaluate(
          datasets.dataset(sent),
          hasProgress ? { ...options, onProgress: (done: number, of: number) => channel.tell('evaluated', id, done, of) } : options,
        ),
        true,
      ),
    column: (...args: Parameters<ReceivedDatasets['column']>) => datasets.column(...args),
    arrived: (id: number) => datasets.arrived(id),
    forget: (id: number) => datasets.forget(id),
    freeze: async (patterns: readonly string[]) => answer(await net().freeze(patterns)),
    parameters: async () => answer(await net().parameters()),
    setParameters: async (values: Tensors, options?: object) => answer(await net().setParameters(values, options)),
    save: async (to?: string) => {
      const { weights, ...bundle } = await net().save(to)
      return { result: { bundle, weights: keep(weights) }, state: state() }
    },
    weights: (key: number) => moved(detached(take(key) as ReadonlyMap<string, TensorData>)),
    snapshot: async () => answer(await net().snapshot()),
    restore: async (snapshot: Snapshot) => answer(await net().restore(snapshot), true),
    reset: async (seed?: number) => answer(await net().reset(seed), true),
  })
}

/** The inputs of the first of these programs that is loaded. */
function needed(net: LocalNet, tasks: readonly string[]): string[] {
  for (const program of tasks.flatMap((task) => [task, `${task}/global`, `${task}/batch`])) {
    try {
      return LocalNet.executorOf(net).neededInputs(program).map(({ name }) => name)
    } catch {
      // Was not loaded: whoever asks for it is told.
    }
  }
  return []
}

const settles = ({ epochEnd, testDue, snapshotDue }: TrainEvent): boolean => epochEnd || testDue || snapshotDue

function factsOf({ name, description, identity, software, half }: LocalNet['device']): DeviceFacts {
  return {
    name,
    description,
    software,
    ...(identity && { identity: { ...identity } }),
    ...(half !== undefined && { half }),
  }
}

function response({ body, type, status, ...rest }: FetchAnswer): Response {
  return {
    ...rest,
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name: string) => (name === 'content-type' ? type : null) },
    body: null,
    arrayBuffer: async () => body.buffer,
  } as unknown as Response
}
