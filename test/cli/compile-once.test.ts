import { execFileSync } from 'node:child_process'
import v8 from 'node:v8'
import { afterEach, expect, test, vi } from 'vitest'
import { FLAGS, optimizingLater } from '../../cli/compile-once.ts'

vi.mock('node:v8', async (original) => {
  const there = await original<typeof import('node:v8')>()
  const setFlagsFromString = vi.fn()
  return { ...there, setFlagsFromString, default: { ...there, setFlagsFromString } }
})

const { execArgv } = process
afterEach(() => {
  process.execArgv = execArgv
  vi.clearAllMocks()
})
const entry = FLAGS[process.versions.v8.split('.')[0]!]

test.runIf(entry)('the default that is put back is the one of this Node', () => {
  const [name, byDefault] = entry!
  const options = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' })
  expect(new RegExp(`^ *${name} \\([^\\n]*\\n[^\\n]*default: ${name}=(\\d+)`, 'm').exec(options)?.[1]).toBe(`${byDefault}`)
})

test.runIf(entry)('the optimizer is put off while the work is done, and where it fails', () => {
  const [name, byDefault, meanwhile] = entry!
  const seen: number[] = []
  const set = vi.mocked(v8.setFlagsFromString)
  expect(optimizingLater(() => seen.push(set.mock.calls.length))).toBe(1)
  expect(() =>
    optimizingLater(() => {
      throw new Error('no net')
    })
  ).toThrow('no net')
  expect(seen).toEqual([1])
  expect(set.mock.calls.flat()).toEqual([meanwhile, byDefault, meanwhile, byDefault].map((value) => `${name}=${value}`))
})

test.runIf(entry)('what the process was started with stays', () => {
  process.execArgv = [`${entry![0]}=5000`]
  expect(optimizingLater(() => 3)).toBe(3)
  expect(vi.mocked(v8.setFlagsFromString)).not.toHaveBeenCalled()
})
