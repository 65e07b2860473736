import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { chromiumRunsHere, openPage } from './chromium.ts'

const here = fileURLToPath(new URL('.', import.meta.url))

const doubling = `
  export async function doubled(numbers) {
    const adapter = await navigator.gpu.requestAdapter()
    const device = await adapter.requestDevice()
    const module = device.createShaderModule({ code: \`
      @group(0) @binding(0) var<storage, read_write> y: array<f32>;
      @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) { y[id.x] = 2.0 * y[id.x]; }\` })
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } })
    const size = 4 * numbers.length
    const buffer = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST })
    const readback = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
    device.queue.writeBuffer(buffer, 0, new Float32Array(numbers))
    const commands = device.createCommandEncoder()
    const pass = commands.beginComputePass()
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer } }] }))
    pass.dispatchWorkgroups(numbers.length)
    pass.end()
    commands.copyBufferToBuffer(buffer, 0, readback, 0, size)
    device.queue.submit([commands.finish()])
    await readback.mapAsync(GPUMapMode.READ)
    console.log('on ' + adapter.info.architecture)
    return [...new Float32Array(readback.getMappedRange())]
  }`

describe.runIf(chromiumRunsHere)('a headless Chromium', () => {
  test('a page computes on the software adapter', async () => {
    const { page, console, errors } = await openPage(here, { files: { 'lib/doubling.js': doubling } })
    expect(await page.evaluate(`import('./lib/doubling.js').then(({ doubled }) => doubled([1, 2.5, -4]))`)).toEqual([2, 5, -8])
    expect(console).toEqual(['log: on swiftshader'])
    expect(errors).toEqual([])
  })

  test('a page may be isolated, and is not otherwise', async () => {
    const isolated = await openPage(here, { isolated: true })
    expect(await isolated.page.evaluate('crossOriginIsolated && new SharedArrayBuffer(8).byteLength')).toBe(8)
    const open = await openPage(here)
    expect(await open.page.evaluate('crossOriginIsolated')).toBe(false)
  })

  test('serves files with their types, and nothing outside the folder', async () => {
    const { page, url, errors } = await openPage(here, {
      files: { 'a.wasm': Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), 'page/index.html': '<p>hi</p>' },
      path: 'page/',
    })
    expect(await page.textContent('p')).toBe('hi')
    expect(await page.evaluate(`WebAssembly.compileStreaming(fetch('/a.wasm')).then(String)`)).toBe('[object WebAssembly.Module]')
    expect(await page.evaluate(`fetch('/chromium.test.ts').then((r) => r.text())`)).toContain('serves files with their types')
    expect((await fetch(`${url}..%2fhouse.test.ts`)).status).toBe(404)
    expect(errors).toEqual([])
    await page.evaluate(`fetch('/missing.js').then(() => undefined)`)
    await page.evaluate(`setTimeout(() => { throw new Error('thrown') })`)
    await expect.poll(() => errors).toEqual([`${url}missing.js: 404`, 'Error: thrown'])
  })

  test('text has fonts', async () => {
    const { page } = await openPage(here, { files: { 'blank.html': '<span style="font: 40px sans-serif">fusenet</span>' } })
    expect(await page.evaluate(`document.querySelector('span').getBoundingClientRect().width`)).toBeGreaterThan(40)
  })
})
