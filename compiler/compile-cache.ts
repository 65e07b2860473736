/**
 * What compilations remember of those before them: answers that depend on nothing but their key, so that no result depends on what is
 * remembered. A second compilation of a net that has changed in one layer then generates the kernels of that layer alone. The answers that were
 * asked for longest ago go first; nothing here holds a graph, a tensor or anything else of the caller's.
 */

/** Bytes of all keys and answers, by their own estimate. */
const MOST_BYTES = 32 * 2 ** 20

interface Remembered {
  readonly answer: unknown
  readonly bytes: number
}

/** What is remembered, from the one that was asked for longest ago to the latest. */
const remembered = new Map<string, Remembered>()
let total = 0
const made = new Map<string, number>()

/** Kinds of answers; a key belongs to one of them. */
export type CacheKind = 'kernel/gpu' | 'kernel/cpu' | 'schedule/gpu' | 'plan' | 'memory' | 'loops'

/** The answer to a question, found once as long as it is remembered. `bytesOf`: what it takes, about, beside its key. */
export function onceForAll<T>(kind: CacheKind, key: string, find: () => T, bytesOf: (answer: T) => number): T {
  const whole = `${kind} ${key}`
  const known = remembered.get(whole)
  if (known) {
    remembered.delete(whole)
    remembered.set(whole, known)
    return known.answer as T
  }
  const answer = find()
  made.set(kind, madeOf(kind) + 1)
  const bytes = whole.length + bytesOf(answer)
  remembered.set(whole, { answer, bytes })
  total += bytes
  for (const [oldest, { bytes: freed }] of remembered) {
    if (total <= MOST_BYTES) break
    remembered.delete(oldest)
    total -= freed
  }
  return answer
}

/** Answers of a kind that were found so far, not remembered. */
export const madeOf = (kind: CacheKind): number => made.get(kind) ?? 0

/** Bytes of what is remembered. */
export const cachedBytes = (): number => total

/** Forgets everything: the next compilation is like a first one. */
export function clearCompileCache(): void {
  remembered.clear()
  total = 0
  timesCleared++
  for (const forget of others) forget()
}

/** So often everything was forgotten: who remembers by himself, and is not here for good, forgets when this has changed. */
export const cacheEpoch = (): number => timesCleared
let timesCleared = 0

/** What else is to be forgotten with it. */
const others: (() => void)[] = []
export const whenCleared = (forget: () => void): void => void others.push(forget)
