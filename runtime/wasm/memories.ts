import { DeviceError } from '../../bundle/device.ts'

const PAGE = 65536
const MOST_PAGES = 65536
/** Memories without a net; of more the smallest is let go. */
const MOST_FREE = 4

interface Held {
  readonly memory: WebAssembly.Memory
  /** Pages that it can grow to. */
  readonly most: number
}

/**
 * Memories of nets that were closed, for nets to come. An engine frees a memory once collections in all threads that had it find that nobody
 * has it any more, and a collector sees an object of a few bytes in it and is in no hurry: nets that are opened and closed in a
 * row would take gigabytes.
 */
export class WasmMemories {
  readonly #shared: boolean
  readonly #free: Held[] = []
  /** The pages that a memory can grow to, of those that are in use, too. */
  readonly #most = new WeakMap<WebAssembly.Memory, number>()

  constructor(shared: boolean) {
    this.#shared = shared
  }

  /** Gives a memory of at least so many pages of zeros. Throws DeviceError where there is no room; `hint`: what else to do then. */
  take(pages: number, hint: string): WebAssembly.Memory {
    const at = this.#free.findIndex(({ most }) => most >= pages)
    if (at >= 0) {
      const [{ memory }] = this.#free.splice(at, 1) as [Held]
      const there = memory.buffer.byteLength / PAGE
      try {
        if (there < pages) memory.grow(pages - there)
        new Uint8Array(memory.buffer, 0, Math.min(there, pages) * PAGE).fill(0)
        return memory
      } catch {
        // It cannot grow here: another one may have room.
      }
    }
    try {
      return this.#make(pages)
    } catch (error) {
      if (this.#free.length === 0) throw noRoom(pages, hint, error)
      this.#free.length = 0
    }
    try {
      return this.#make(pages)
    } catch (error) {
      throw noRoom(pages, hint, error)
    }
  }

  /** It may grow to the next power of two, so that a net that is a little larger takes it as well. What is not used takes no room. */
  #make(pages: number): WebAssembly.Memory {
    const most = Math.min(MOST_PAGES, 2 ** Math.ceil(Math.log2(pages)))
    const memory = new WebAssembly.Memory({ initial: pages, maximum: most, shared: this.#shared })
    this.#most.set(memory, most)
    return memory
  }

  /** Takes one back that no thread uses any more. */
  give(memory: WebAssembly.Memory): void {
    this.#free.push({ memory, most: this.#most.get(memory)! })
    this.#free.sort((a, b) => a.most - b.most)
    if (this.#free.length > MOST_FREE) this.#free.shift()
  }

  /** Lets all of them go. */
  close(): void {
    this.#free.length = 0
  }
}

const noRoom = (pages: number, hint: string, error: unknown): DeviceError =>
  new DeviceError(`there is no memory for ${pages * 64} KiB: use a smaller batch, or close other nets${hint} (${(error as Error).message})`)
