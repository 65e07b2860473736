import { plain } from '../plain.ts'

/** Takes what is wrong, and where: `plans.webgpu.tensors[3].offset`. */
export type Report = (path: string, message: string) => void

/** A value as messages show it: of what is nested only what it is, since it may be nested deeply. */
export const say = (value: unknown): string => {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'string') return plain(JSON.stringify(value.slice(0, 100)), 40)
  return typeof value === 'object' && value !== null ? 'an object' : plain(String(value), 40)
}
