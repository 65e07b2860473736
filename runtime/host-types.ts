/**
 * Types of what the host brings, for whoever has no declarations of a page (`"DOM"`), of Node or of WebGPU: a library must not ask
 * for them.
 */

/** The class of this name, where the host declares it; else nothing fits. */
export type Host<Name extends string> = typeof globalThis extends { readonly [Key in Name]: { readonly prototype: infer T } } ? T : never

/** The type of the second argument of `fetch`. */
export type RequestOptions = typeof globalThis extends { readonly fetch: (url: never, init?: infer T) => unknown } ? T : never

/** `navigator.gpu`, or in Node `create([])` of the package `webgpu`. */
export interface GpuLike {
  requestAdapter(options?: { powerPreference?: 'low-power' | 'high-performance' }): Promise<GpuAdapterLike | null>
}

/** The type that `gpu.requestAdapter()` resolves to. */
export interface GpuAdapterLike {
  requestDevice(descriptor?: object): Promise<object>
}
