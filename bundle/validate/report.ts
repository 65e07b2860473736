/** Takes what is wrong, and where: `plans.webgpu.tensors[3].offset`. */
export type Report = (path: string, message: string) => void
