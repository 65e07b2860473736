/** Takes what is wrong, and where: `plans.webgpu.tensors[3].offset`. */
export type Report = (path: string, message: string) => void

/** A value as messages show it. */
export const say = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 40 ? `${text.slice(0, 40)}...` : text
}
