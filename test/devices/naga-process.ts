/** Runs in Deno: modules come in as JSON, an answer a line goes out. */
import { type Module, validateModules } from './validate-modules.ts'

declare const Deno: { readonly stdin: { readonly readable: ReadableStream<Uint8Array> }; exit(code: number): never }

const modules: Module[] = await new Response(Deno.stdin.readable).json()
const adapter = await navigator.gpu.requestAdapter()
if (!adapter) throw new Error('no WebGPU adapter')
// naga knows subgroups, but not yet the line that asks for them; and the adapter does not list the feature that it gives.
const device = await adapter.requestDevice({ requiredFeatures: ['subgroups'] })
const known = modules.map((module) => ({ ...module, code: module.code.replace('enable subgroups;\n', '') }))
for await (const checked of validateModules(device, known)) console.log(JSON.stringify(checked))
Deno.exit(0)
