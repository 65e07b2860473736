/** Milliseconds of work after which a page gets its turn: well within a frame, whatever else it does. */
const TURN_MS = 4

/** Resolves after whatever else waits for this thread: timers, signals, messages, a page's redraw. */
export function nextTask(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (call: () => void) => void }
  return new Promise((resolve) => {
    if (setImmediate) return setImmediate(resolve)
    // Pages make timers wait for milliseconds.
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}

/** To be awaited between pieces of long work, a millisecond or so each: gives the page its turn where it has waited long enough. */
export function turns(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < TURN_MS) return undefined
    return nextTask().then(() => {
      since = performance.now()
    })
  }
}
