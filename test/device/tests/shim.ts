/**
 * What the tests of this repository use of vitest, in one file without dependencies on disk: suites, hooks, tables, time limits, and
 * vitest's own `expect`. pack.mjs puts it in vitest's place, so that tests run where nothing can be installed.
 */
import { ASYMMETRIC_MATCHERS_OBJECT, chai, getState, GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend,
  setState } from '@vitest/expect'

type Body = (...args: never[]) => unknown

interface Case {
  readonly name: string
  readonly run: () => unknown
  readonly skipped: boolean
  readonly limitMs: number
}

interface Suite {
  readonly name: string
  readonly before: (() => unknown)[]
  readonly after: (() => unknown)[]
  readonly items: (Case | Suite)[]
  readonly skipped: boolean
}

export interface Outcome {
  readonly name: string
  readonly status: 'passed' | 'failed' | 'skipped'
  readonly ms: number
  readonly error?: string
}

const LIMIT_MS = 120_000

const suite = (name: string, skipped: boolean): Suite => ({ name, before: [], after: [], items: [], skipped })
const root = suite('', false)
let current = root

/** `%s`, `%i` and the like take the arguments in turn, `$key` what the first one has by that name. */
function named(template: string, args: readonly unknown[]): string {
  let next = 0
  return template
    .replace(/%[sdifjo]/g, (mark) => (next < args.length ? String(mark === '%j' ? JSON.stringify(args[next++]) : args[next++]) : mark))
    .replace(/\$(\w+)/g, (mark, key: string) => String((args[0] as Record<string, unknown> | undefined)?.[key] ?? mark))
}

type Each = (table: readonly unknown[]) => (name: string, body: Body, limitMs?: number) => void
interface Maker {
  (name: string, body: Body, limitMs?: number): void
  each: Each
  runIf: (condition: unknown) => Maker
  skipIf: (condition: unknown) => Maker
  skip: Maker
}

/** A function with the forms that vitest's `test` and `describe` have. */
function maker(make: (name: string, body: Body, limitMs: number | undefined, skipped: boolean) => void, skipped = false): Maker {
  const made = ((name, body, limitMs) => make(name, body, limitMs, skipped)) as Maker
  made.each = (table) => (name, body, limitMs) => {
    for (const row of table) {
      const args = Array.isArray(row) ? row as unknown[] : [row]
      make(named(name, args), () => (body as (...all: unknown[]) => unknown)(...args), limitMs, skipped)
    }
  }
  made.runIf = (condition) => maker(make, skipped || !condition)
  made.skipIf = (condition) => maker(make, skipped || Boolean(condition))
  Object.defineProperty(made, 'skip', { get: () => maker(make, true) })
  return made
}

export const describe = maker((name, body, _, skipped) => {
  const outer = current
  const inner = suite(name, skipped)
  outer.items.push(inner)
  current = inner
  try {
    const result = (body as () => unknown)()
    if (result instanceof Promise) throw new Error(`describe ${name} is asynchronous`)
  } finally {
    current = outer
  }
})

export const test = maker((name, body, limitMs = LIMIT_MS, skipped) => {
  current.items.push({ name, run: body as () => unknown, skipped, limitMs })
})
export const it = test

export const beforeAll = (hook: () => unknown): void => void current.before.push(hook)
export const afterAll = (hook: () => unknown): void => void current.after.unshift(hook)

chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)

/** vitest's, without what belongs to its own runner: snapshots, counts of assertions. */
export const expect: unknown = Object.assign(
  (value: unknown, message?: string): unknown => chai.expect(value, message),
  chai.expect,
  (globalThis as unknown as Record<symbol, object>)[ASYMMETRIC_MATCHERS_OBJECT],
)
Object.assign(expect as object, {
  poll,
  getState: () => getState(expect as never),
  setState: (state: object) => setState(state, expect as never),
})
Object.defineProperty(globalThis, GLOBAL_EXPECT, { value: expect, writable: true, configurable: true })
setState({ assertionCalls: 0, isExpectingAssertions: false, expectedAssertionsNumber: null } as never, expect as never)

type Matcher = (...args: readonly unknown[]) => unknown

/** `expect.poll`: asks again, every `interval` milliseconds, until what is asked for holds; after `timeout` the last failure stands. */
function poll(ask: () => unknown, { interval = 50, timeout = 1000 } = {}): unknown {
  const end = performance.now() + timeout
  const matchers = (negated: boolean): unknown =>
    new Proxy({}, {
      get: (_, name: string) => {
        if (name === 'not') return matchers(!negated)
        return async (...args: readonly unknown[]) => {
          for (;;) {
            try {
              const held = (expect as (value: unknown) => Record<string, Matcher> & { not: Record<string, Matcher> })(await ask())
              return (negated ? held.not : held)[name]!(...args)
            } catch (error) {
              if (performance.now() > end) throw error
              await new Promise((done) => setTimeout(done, interval))
            }
          }
        }
      },
    })
  return matchers(false)
}

async function within(run: () => unknown, limitMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      (async () => run())(),
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`took longer than ${limitMs / 1000} s`)), limitMs)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}

const say = (error: unknown): string => (error instanceof Error ? error.stack ?? error.message : String(error)).slice(0, 2000)

/** Runs what was described so far. Each outcome is told as it is known; of those whose hooks failed too. */
export async function runAll(onOutcome: (outcome: Outcome) => void): Promise<void> {
  await runSuite(root, '', onOutcome, false)
}

async function runSuite(of: Suite, path: string, onOutcome: (outcome: Outcome) => void, skipped: boolean): Promise<void> {
  const at = [path, of.name].filter(Boolean).join(' > ')
  const leftOut = skipped || of.skipped
  const after = [...of.after]
  let broken: string | undefined
  if (!leftOut) {
    try {
      for (const hook of of.before) {
        const ended = await within(hook, LIMIT_MS)
        if (typeof ended === 'function') after.unshift(ended as () => unknown)
      }
    } catch (error) {
      broken = say(error)
    }
  }
  for (const item of of.items) {
    if ('items' in item) {
      if (broken === undefined) await runSuite(item, at, onOutcome, leftOut)
      else onOutcome({ name: [at, item.name].join(' > '), status: 'failed', ms: 0, error: broken })
      continue
    }
    const name = [at, item.name].filter(Boolean).join(' > ')
    if (leftOut || item.skipped) {
      onOutcome({ name, status: 'skipped', ms: 0 })
      continue
    }
    const start = performance.now()
    try {
      if (broken !== undefined) throw new Error(broken)
      await within(item.run, item.limitMs)
      onOutcome({ name, status: 'passed', ms: performance.now() - start })
    } catch (error) {
      onOutcome({ name, status: 'failed', ms: performance.now() - start, error: say(error) })
    }
  }
  for (const hook of leftOut ? [] : after) {
    try {
      await within(hook, LIMIT_MS)
    } catch (error) {
      onOutcome({ name: `${at} > afterAll`, status: 'failed', ms: 0, error: say(error) })
    }
  }
}
