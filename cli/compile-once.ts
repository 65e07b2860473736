import { setFlagsFromString } from 'node:v8'
import type { Bundle } from '../bundle/format.ts'
import type { compile as compileType } from '../compiler/index.ts'

/**
 * V8's flags for when it optimizes a function, by its major version, with their defaults and what holds meanwhile: calls, or bytes of bytecode
 * that were run (both as `node --v8-options` tells of Node 20, 22, 24 and 26).
 */
export const FLAGS: Readonly<Record<string, readonly [name: string, byDefault: number, meanwhile: number]>> = {
  '11': ['--interrupt-budget', 67584, 2_000_000],
  ...Object.fromEntries(['12', '13', '14'].map((version) => [version, ['--invocation-count-for-turbofan', 3000, 30_000] as const])),
}

/**
 * Compiles as `compile` does, in a process that does it once or twice. Until then V8 optimizes what was called very often alone: a compilation runs
 * through a thousand functions, and to optimize them all takes longer than they do, with objects of other shapes half of it in vain. In Node 20 and
 * 22 that was more than half of the processor's time, also for ResNet-110.
 */
export async function compileOnce(...args: Parameters<typeof compileType>): Promise<Bundle> {
  const { compile } = await import('../compiler/index.ts')
  return optimizingLater(() => compile(...args))
}

/** What `work` gives, with V8's optimizer put off meanwhile. Flags that the process was started with stay. */
export function optimizingLater<T>(work: () => T): T {
  const [name, byDefault, meanwhile] = FLAGS[process.versions.v8.split('.')[0]!] ?? []
  if (name === undefined || [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some((given) => given.includes(name))) return work()
  setFlagsFromString(`${name}=${meanwhile}`)
  try {
    return work()
  } finally {
    setFlagsFromString(`${name}=${byDefault}`)
  }
}
