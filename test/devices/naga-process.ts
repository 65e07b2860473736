/** Runs in Deno: modules come in as JSON, an answer a line goes out. */
import { validateModules } from './validate-modules.ts'

declare const Deno: { readonly stdin: { readonly readable: ReadableStream<Uint8Array> }; exit(code: number): never }

const modules = await new Response(Deno.stdin.readable).json()
const adapter = await navigator.gpu.requestAdapter()
if (!adapter) throw new Error('no WebGPU adapter')
for await (const checked of validateModules(await adapter.requestDevice(), modules)) console.log(JSON.stringify(checked))
Deno.exit(0)
