import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { BundleError, InputError } from '../../runtime/errors.ts'
import { bundleFiles } from '../../runtime/files.ts'
import { open } from '../../runtime/open.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'

const x = new Float32Array(12).fill(2)

describe('a bundle by its URL', () => {
  let server: Server
  let base: string
  let files: Map<string, Uint8Array>
  const asked: string[] = []
  beforeAll(async () => {
    files = await bundleFiles({ ...fixture(), weights: new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) }]]) })
    server = createServer((request, response) => {
      const name = decodeURIComponent(request.url!.replace('/nets/line/', ''))
      asked.push(name)
      const data = files.get(name)
      response.writeHead(data ? 200 : 404)
      response.end(data)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/nets/line`
  })
  afterAll(() => { server.close() })

  test.each(['', '/', '/bundle.json'])('ends in "%s"', async (end) => {
    const net = await open(`${base}${end}`, { device: new FakeDevice() })
    expect([...(await net.run({ x }))['y']!].slice(0, 3)).toEqual([4, 8, 12])
    expect(net.notes).toEqual([])
  })

  test('is asked for what its manifest names, each once, but for what is for reading alone', async () => {
    asked.length = 0
    await open(new URL(`${base}/`), { device: new FakeDevice() })
    expect([...asked].sort()).toEqual([...files.keys()].filter((name) => name !== 'webgpu/facts.json').sort())
  })

  test('that is not there, or lacks a kernel', async () => {
    await expect(open(`${base}/none`, { device: new FakeDevice() })).rejects.toThrow(/bundle\.json: is not there/)
    const kernel = files.get('webgpu/train.wgsl')!
    files.delete('webgpu/train.wgsl')
    await expect(open(base, { device: new FakeDevice() })).rejects.toThrow(BundleError)
    await expect(open(base, { device: new FakeDevice() })).rejects.toThrow(/webgpu\/train\.wgsl: is not there \(status 404/)
    files.set('webgpu/train.wgsl', kernel)
  })
})

describe('devices', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  test('none here: how to get one', async () => {
    await expect(open(fixture())).rejects.toThrow(/WebGPU is missing/)
    await expect(open(fixture(), { device: 'tpu' as 'auto' })).rejects.toThrow(/no device tpu/)
  })

  test('a device that was handed in stays open, though opening fails', async () => {
    const device = new FakeDevice()
    const net = await open(fixture(), { device })
    net.close()
    await expect(open(fixture(), { device, seed: 0.5 })).rejects.toThrow(InputError)
    expect(device.closed).toBe(false)
  })

  test('the batch is the one that the file trains with, unless told', async () => {
    expect((await open(fixture(), { device: new FakeDevice() })).batch).toBe(4)
    const { train: _, ...manifest } = fixture().manifest
    expect((await open({ ...fixture(), manifest }, { device: new FakeDevice() })).batch).toBe(1)
  })

  test('where pages are not secure, hashes are not checked, and a note says so', async () => {
    const files = await bundleFiles(fixture())
    vi.stubGlobal('crypto', {})
    const net = await open(files, { device: new FakeDevice() })
    expect(net.notes).toEqual([expect.stringMatching(/hashes were not checked/)])
    await expect(bundleFiles(fixture())).rejects.toThrow(/cannot be sealed/)
  })
})
