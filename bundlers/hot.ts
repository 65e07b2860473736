/** Lets nets that are open in a page follow their text while the page is developed. Builds do not have it. */
import type { Bundle, TensorData } from '../bundle/format.ts'

/** The part of `import.meta.hot` that is used here. */
interface Hot {
  readonly data: { line?: Line }
  invalidate(message: string): void
}

/** A version of a net, as its module says it. */
interface Version {
  readonly name: string
  /** The folder of its bundle. */
  readonly url: string
  /** Inputs and outputs: what the code of a page was written against. */
  readonly signature: string
  /** Hash of the files that hold its weights. */
  readonly weights: string
}

type Options = Readonly<Record<string, unknown>>
/** `open` of the runtime. */
type Open = (url: string, options?: Options) => Promise<Net>

/** The part of a net, whatever thread it runs on, that is used here. */
interface Net {
  readonly steps: number
  readonly manifest: Pick<Bundle['manifest'], 'parameters'>
  parameters(): Promise<Map<string, TensorData>>
  setParameters(values: ReadonlyMap<string, TensorData>, options: { readonly strict: boolean }): Promise<void>
  close(): void
}

interface HotModule {
  readonly name: string
  readonly url: string
  open(options?: Options): Promise<Net>
}

/** The default export of a net's module: one object for all versions, so that whoever imported it has the newest. */
export function hotNet(hot: Hot | undefined, version: Version, open: Open): HotModule {
  if (!hot) return { name: version.name, url: version.url, open: (options) => open(version.url, options) }
  const line = hot.data.line ??= new Line(open)
  line.become(version, hot)
  return line.module
}

const say = (text: string): void => console.info(`[fusenet] ${text}`)

/** All versions of one imported net, and the nets that are open. */
class Line {
  #version: Version | undefined
  #nets: WeakRef<Follower>[] = []
  readonly module: HotModule

  constructor(open: Open) {
    const current = (): Version => this.#version!
    this.module = {
      get name() {
        return current().name
      },
      get url() {
        return current().url
      },
      open: async (options = {}) => {
        const { url } = current()
        const follower = new Follower(await open(url, options), options, open)
        this.#nets.push(new WeakRef(follower))
        // It may have changed while it was opened.
        if (current().url !== url) void follower.follow(current(), false)
        return follower.net
      },
    }
  }

  become(version: Version, hot: Hot): void {
    const before = this.#version
    this.#version = version
    this.#nets = this.#nets.filter((net) => net.deref()?.isOpen)
    if (!before || before.url === version.url || this.#nets.length === 0) return
    if (before.signature !== version.signature)
      return hot.invalidate(`${version.name} has other inputs or outputs than this page was written for: reloading`)
    for (const net of this.#nets) void net.deref()?.follow(version, before.weights !== version.weights)
  }
}

/** A net that becomes another one while it is open. */
class Follower {
  #current: Net
  readonly #options: Options
  readonly #open: Open
  /** The net that a page holds; it passes calls on to the current one. */
  readonly net: Net
  isOpen = true
  /** Calls under way, by the net that they run on. */
  readonly #calls = new Map<Net, number>()
  #trainings = 0
  #whenIdle: (() => void)[] = []
  #tail: Promise<void> = Promise.resolve()

  constructor(first: Net, options: Options, open: Open) {
    this.#current = first
    this.#options = options
    this.#open = open
    this.net = new Proxy(first, {
      get: (_, key) => this.#get(key as keyof Net),
      set: (_, key, value) => Reflect.set(this.#current, key, value, this.#current),
    })
  }

  #get(key: keyof Net): unknown {
    const net = this.#current
    const value: unknown = Reflect.get(net, key, net)
    if (typeof value !== 'function') return value
    return (...args: unknown[]): unknown => {
      // Asked for again: the method may be kept longer than the net.
      const own = this.#current
      if (key === 'close') this.isOpen = false
      const result: unknown = Reflect.apply(Reflect.get(own, key, own) as (...args: unknown[]) => unknown, own, args)
      if (result !== null && typeof result === 'object' && Symbol.asyncIterator in result)
        return this.#training(own, result as AsyncIterable<unknown>)
      return result instanceof Promise ? this.#during(own, result) : result
    }
  }

  async #during<T>(net: Net, work: Promise<T>): Promise<T> {
    this.#count(net, 1)
    try {
      return await work
    } finally {
      this.#count(net, -1)
    }
  }

  async *#training(net: Net, events: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    this.#trainings++
    this.#count(net, 1)
    try {
      yield* events
    } finally {
      this.#trainings--
      this.#count(net, -1)
    }
  }

  #count(net: Net, by: number): void {
    const calls = (this.#calls.get(net) ?? 0) + by
    this.#calls.set(net, calls)
    // What was replaced is closed when nobody waits for it any more.
    if (calls === 0 && net !== this.#current) net.close()
    if (this.#trainings === 0) { for (const resume of this.#whenIdle.splice(0)) resume() }
  }

  /** Becomes a version when trainings that are under way have ended, and what it learned stays: parameters of the same name and shape. `anew`: its weights were trained again, so those count. */
  follow(version: Version, anew: boolean): Promise<void> {
    this.#tail = this.#tail.then(() => this.#become(version, anew)).catch((error: unknown) =>
      console.error(`[fusenet] ${version.name} changed, and the new one could not be opened; the old one goes on`, error)
    )
    return this.#tail
  }

  async #become({ name, url }: Version, anew: boolean): Promise<void> {
    if (this.#trainings > 0) {
      say(`${name} changed: it is taken over when the training that is under way has ended`)
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
    }
    if (!this.isOpen) return
    const old = this.#current
    const { signal: _, onProgress: __, weights, ...options } = this.#options
    const next = await this.#open(url, { ...options, ...(weights !== undefined && { weights: 'fresh' }) })
    const learned = anew ? new Map<string, TensorData>() : await this.#learned(old, next)
    if (!this.isOpen) return next.close()
    this.#current = next
    if ((this.#calls.get(old) ?? 0) === 0) old.close()
    const fresh = next.manifest.parameters.filter((parameter) => !learned.has(parameter.name)).map((parameter) => parameter.name)
    say(
      anew ? `${name} has other weights now, and what was learned in this page is gone`
        : `${name} changed: ${learned.size} parameters kept${
          fresh.length > 0 ? `, others are those of its weights, or initial ones: ${fresh.join(', ')}` : ''
        }`,
    )
    globalThis.dispatchEvent?.(new CustomEvent('fusenet:update', { detail: { name, net: this.net, kept: [...learned.keys()], fresh } }))
  }

  /** Parameters move over until none is learned meanwhile. */
  async #learned(old: Net, next: Net): Promise<Map<string, TensorData>> {
    const shapes = new Map(next.manifest.parameters.map(({ name, shape }) => [name, shape.join()]))
    for (;;) {
      const { steps } = old
      const same = new Map([...await old.parameters()].filter(([name, { shape }]) => shapes.get(name) === shape.join()))
      await next.setParameters(same, { strict: false })
      if (old.steps === steps) return same
    }
  }
}
