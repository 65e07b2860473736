/**
 * Asks a WebGPU whether WGSL is valid. Runs in Node (Dawn, thus Tint) and in Deno (wgpu, thus naga), which both read
 * this file as it is: it imports nothing.
 */
export interface Module {
  readonly name: string
  readonly code: string
  /** Left out: the only one. */
  readonly entryPoint?: string
  readonly constants?: Readonly<Record<string, number>>
  /** False: only the text, no pipeline. SwiftShader needs a second to compile 4 KiB of workgroup memory as naga prints it. */
  readonly pipeline?: boolean
}
export interface Checked {
  readonly name: string
  /** Empty if the module is valid and a compute pipeline with layout 'auto' can be made of it. */
  readonly errors: readonly string[]
}

/** One answer a module, in order. */
export async function* validateModules(device: GPUDevice, modules: readonly Module[]): AsyncGenerator<Checked> {
  for (const { name, code, entryPoint, constants, pipeline = true } of modules) {
    device.pushErrorScope('validation')
    const module = device.createShaderModule({ label: name, code })
    const errors = (await module.getCompilationInfo()).messages
      .filter((message) => message.type === 'error')
      .map((message) => `${message.lineNum}:${message.linePos}: ${message.message}`)
    const refused = await device.popErrorScope()
    if (refused && errors.length === 0) errors.push(refused.message)
    if (errors.length === 0 && pipeline) {
      // Bindings beyond the limits, workgroups too large, no such entry point: all this only a pipeline tells.
      device.pushErrorScope('validation')
      device.pushErrorScope('internal')
      device.createComputePipeline({ label: name, layout: 'auto', compute: { module, entryPoint, constants } })
      for (const error of [await device.popErrorScope(), await device.popErrorScope()]) {
        if (error) errors.push(error.message)
      }
    }
    yield { name, errors }
  }
}
