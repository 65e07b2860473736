import { describe, expect, test } from 'vitest'
import { probeAdapter } from '../../cli/adapter-probe.ts'
import { fusenet, json } from './helper.ts'

describe('asking for an adapter in a process of its own', () => {
  test('keeps what is said on standard error', async () => {
    const probed = await probeAdapter([], `console.error('error: XDG_RUNTIME_DIR not set\\n\\nWarning: no drivers'); console.log('null')`)
    expect(probed).toEqual({ adapter: null, said: ['error: XDG_RUNTIME_DIR not set', 'Warning: no drivers'] })
  })

  test('gives the adapter', async () => {
    expect(await probeAdapter([], `console.log('{"info":{"vendor":"v"}}')`)).toEqual({ adapter: { info: { vendor: 'v' } }, said: [] })
  })

  test.each([['a process that dies', 'process.abort()'], ['an answer that is none', 'console.log("hm")'], ['an error', 'throw 1']])(
    '%s answers nothing, so this process must ask',
    async (_, script) => {
      expect((await probeAdapter([], script)).adapter).toBeUndefined()
    },
  )
})

describe('fusenet devices', () => {
  test('lists what there is', async () => {
    const said = await fusenet(['devices', '--json'])
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(json(said).devices.map(({ name, kind }: { name: string; kind: string }) => `${name} ${kind}`)).toEqual([
      'webgpu hardware',
      'webgpu software',
      'wasm cpu',
      'interpreter cpu',
    ])
  })
})
