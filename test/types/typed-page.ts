/** As `typed.ts`, for who has the types of a page. */
import { type BundleSource, open, webgpu } from 'fusenet'
import type { Pets } from './pets/bundle.js'

export async function loading(url: URL, signal: AbortSignal, files: Map<string, Uint8Array>): Promise<void> {
  await open<Pets>(url, { signal, fetch: { credentials: 'include', headers: { accept: '*/*' } } })
  await open<Pets>('/pets/', { fetch: (address, init) => fetch(address, { ...init, cache: 'force-cache' }) })
  const source: BundleSource = files
  await open<Pets>(source)
  // @ts-expect-error no source of a bundle
  await open<Pets>(signal)
  // @ts-expect-error no signal
  await open<Pets>(url, { signal: url })
  // @ts-expect-error no option of fetch
  await open<Pets>(url, { fetch: { credential: 'include' } })
}

/** What a net gives goes into what a page has, which takes memory that is not shared. */
export async function drawn(canvas: HTMLCanvasElement): Promise<void> {
  const { embedding } = await (await open<Pets>('/pets/')).run({ image: new Float32Array(192) })
  new Blob([embedding])
  canvas.getContext('2d')!.putImageData(new ImageData(Uint8ClampedArray.from(embedding), 2, 1), 0, 0)
}

/** WebGPU as its own declarations have it, or as anybody finds it. */
export const onGpu = async (gpu: { requestAdapter(): Promise<null> }): Promise<unknown> =>
  open<Pets>('/pets/', { device: await webgpu({ gpu }) })
