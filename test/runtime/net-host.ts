import { expect } from 'vitest'
import { BundleError } from '../../bundle/errors.ts'
import { bundleFiles } from '../../runtime/loading/files.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'

/** y = x * 2w: 4 8 12 for w = 1 2 3 and x = 2; with the initial w = 1/4 it is 1 everywhere. */
export const weights = new Map(
  [['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) }], ['seen', {
    shape: [1],
    type: 'f32',
    data: Float32Array.of(0),
  }]] as const,
)
export const trained = { ...fixture(), weights }
export const x = new Float32Array(12).fill(2)

/** A host: answers by path, everything else as it is told, and writes down what it was asked. */
export class Host {
  readonly asked: string[] = []
  readonly inits: (RequestInit | undefined)[] = []
  files: Map<string, Uint8Array>
  other: () => Response = () => new Response('no', { status: 404, statusText: 'Not Found' })
  constructor(files: Map<string, Uint8Array>) {
    this.files = files
  }
  fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    this.asked.push(url)
    this.inits.push(init)
    init?.signal?.throwIfAborted()
    const data = this.files.get(new URL(url).pathname.replace(/^\/nets\/line\//, ''))
    return data ? new Response(data as Uint8Array<ArrayBuffer>, { headers: { 'content-type': 'application/octet-stream' } }) : this.other()
  }
}

export const URL_OF = 'https://host.example/nets/line/'
export const files = await bundleFiles(trained)
export const hostOf = (change: (files: Map<string, Uint8Array>) => void = () => {}): Host => {
  const copy = new Map(files)
  change(copy)
  return new Host(copy)
}
export const openAt = (host: Host, options: OpenOptions = {}, url: string | URL = URL_OF) =>
  open(url, { device: new FakeDevice(), fetch: host.fetch, ...options })
export const firstThree = async (
  host: Host,
  options: OpenOptions = {},
  url: string | URL = URL_OF,
): Promise<number[]> => [...(await (await openAt(host, options, url)).run({ x }))['y']!.slice(0, 3)]
export const refused = async (host: Host, options: OpenOptions = {}): Promise<string> => {
  const error = await openAt(host, options).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(BundleError)
  return (error as Error).message
}
