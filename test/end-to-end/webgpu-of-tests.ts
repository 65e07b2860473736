import { softwareGpu } from '../devices/webgpu.ts'

const gpu = await softwareGpu()

/** `create` of the package webgpu, on machines without graphics hardware. */
export const create = (_flags: readonly string[]): GPU => gpu
