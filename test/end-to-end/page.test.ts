import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bundleFiles, open, wasm, webgpu } from '../../runtime/index.ts'
import { chromiumRunsHere, openPage } from '../devices/chromium.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { labels, normals } from '../support/random-net.ts'

const root = join(import.meta.dirname, '../..')
const BATCH = 4
const STEPS = 5

const text = `
net small {
  input image: f32[1, 12, 12]
  input label: class[5]
  features = image -> conv(6, 3, pad: 1) -> batch_norm -> relu -> max_pool(2) -> conv(8, 3) -> batch_norm -> sigmoid
  logits = features -> fc(5)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.05, momentum: 0.9) }`

/** What a page does with a bundle that it fetches: as text, since it runs there. */
const work = `async ({ images, label, batch, device = 'webgpu' }) => {
  const { open } = await import('./runtime.js')
  const net = await open(new URL('bundle/', location.href), { batch, seed: 3, device })
  const losses = []
  for (const image of images) losses.push(await (await net.trainStep({ image: Float32Array.from(image), label: Int32Array.from(label) })).loss)
  const { prob } = await net.run({ image: Float32Array.from(images[0]) })
  return { losses, prob: [...prob], adapter: net.device.description }
}`

describe.runIf(chromiumRunsHere)('a page', () => {
  const opened: { close(): Promise<void> }[] = []
  afterAll(async () => {
    for (const page of opened) await page.close()
  })

  async function runtimeForPages(): Promise<string> {
    const { outputFiles } = await build({
      entryPoints: [join(root, 'runtime/index.ts')],
      bundle: true,
      format: 'esm',
      platform: 'browser',
      minify: true,
      write: false,
      logLevel: 'error',
    })
    return outputFiles[0]!.text
  }

  test('infers and trains on WebGPU, with the results of Node', async () => {
    const bundle = compile(text)
    const files: Record<string, string | Uint8Array> = { 'runtime.js': await runtimeForPages() }
    const images = Array.from({ length: STEPS }, (_, k) => [...normals(BATCH * 144, k)])
    const label = [...labels(BATCH, 5, 9)]

    const net = await open(bundle, { device: await webgpu({ gpu: await softwareGpu() }), batch: BATCH, seed: 3 })
    for (const [name, data] of await bundleFiles(await net.save())) files[`bundle/${name}`] = data
    const losses: number[] = []
    for (const image of images)
      losses.push(await (await net.trainStep({ image: Float32Array.from(image), label: Int32Array.from(label) })).loss)
    const prob = (await net.run({ image: Float32Array.from(images[0]!) }))['prob']!
    net.close()

    const page = await openPage(import.meta.dirname, { files })
    opened.push(page)
    const there = await page.page.evaluate(`(${work})(${JSON.stringify({ images, label, batch: BATCH })})`) as {
      losses: number[]
      prob: number[]
      adapter: string
    }
    expect(page.errors).toEqual([])
    expect(there.adapter).toMatch(/swiftshader/i)
    // The same kernels on the same adapter, by two builds of the driver: rounding may differ in the last places.
    there.losses.forEach((loss, k) => expect(loss).toBeCloseTo(losses[k]!, 5))
    there.prob.forEach((p, k) => expect(p).toBeCloseTo(prob[k]!, 5))
  })

  test.each([['isolated', true, /SIMD, [2-9]/], ['not isolated', false, /SIMD, 1 thread/]] as const)(
    '%s: infers and trains in WebAssembly, with the results of Node',
    async (_, isolated, description) => {
      const bundle = compile(text)
      const files: Record<string, string | Uint8Array> = { 'runtime.js': await runtimeForPages() }
      const images = Array.from({ length: STEPS }, (_, k) => [...normals(BATCH * 144, k)])
      const label = [...labels(BATCH, 5, 9)]
      const net = await open(bundle, { device: await wasm({ threads: 1, relaxed: false }), batch: BATCH, seed: 3 })
      for (const [name, data] of await bundleFiles(await net.save())) files[`bundle/${name}`] = data
      const losses: number[] = []
      for (const image of images)
        losses.push(await (await net.trainStep({ image: Float32Array.from(image), label: Int32Array.from(label) })).loss)
      const prob = (await net.run({ image: Float32Array.from(images[0]!) }))['prob']!
      net.close()

      const page = await openPage(import.meta.dirname, { files, isolated })
      opened.push(page)
      // Without graphics hardware this is what `auto` takes too.
      for (const device of ['wasm', 'auto']) {
        const there = await page.page.evaluate(`(${work})(${JSON.stringify({ images, label, batch: BATCH, device })})`) as {
          losses: number[]
          prob: number[]
          adapter: string
        }
        expect(page.errors).toEqual([])
        expect(there.adapter).toMatch(description)
        // Chromium may have relaxed SIMD, whose sums are rounded once.
        there.losses.forEach((loss, k) => expect(loss).toBeCloseTo(losses[k]!, 5))
        there.prob.forEach((p, k) => expect(p).toBeCloseTo(prob[k]!, 5))
      }
    },
  )
})
