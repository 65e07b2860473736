import { RELAXED_SECTION } from '../../bundle/format.ts'
import { copyOf } from '../../bundle/copy.ts'

/** A module that engines with relaxed SIMD alone take: one function, three vectors of zeros, f32x4.relaxed_madd. */
// dprint-ignore
export const RELAXED_PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0,
  10, 19, 1, 17, 0, 65, 0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, 253, 133, 2, 11,
]

/** Node 20's engine has the final instructions behind this flag; from 21 on they are on. */
const [MAJOR_WITH_FLAG, FLAG] = ['20', '--experimental-wasm-relaxed-simd']

/** What of Node's module `v8` is used here. It is asked for at run time: pages have none. */
interface Host {
  readonly versions?: Readonly<Record<string, string | undefined>>
  getBuiltinModule?(name: 'node:v8'): { setFlagsFromString(flag: string): void }
}

/** Whether modules with relaxed SIMD compile here. In Node 20 it switches V8's flag for them on, for the whole process: its threads follow. */
export function hasRelaxed(): boolean {
  const probe = Uint8Array.from(RELAXED_PROBE)
  if (WebAssembly.validate(probe)) return true
  const { process } = globalThis as { process?: Host }
  if (process?.versions?.['node']?.split('.')[0] !== MAJOR_WITH_FLAG) return false
  try {
    process.getBuiltinModule?.('node:v8').setFlagsFromString(FLAG)
  } catch {
    // Another engine that calls itself Node 20.
    return false
  }
  return WebAssembly.validate(probe)
}

/**
 * The module with the instructions of relaxed SIMD: a copy, changed where its first section says (RELAXED_SECTION); itself where it has none.
 * Places that lead elsewhere make a module that does not validate, which engines refuse as any other.
 */
export function relax(module: Uint8Array): Uint8Array {
  let at = 8
  const next = (): number => {
    let value = 0
    for (let shift = 0;; shift += 7) {
      const byte = module[at++] ?? 0
      value |= (byte & 0x7f) << shift
      if (byte < 0x80 || shift > 21) return value
    }
  }
  if (next() !== 0) return module
  const size = next()
  const end = at + size
  const length = next()
  if (!/^relax(ed|able)$/.test(String.fromCharCode(...module.subarray(at, at + Math.min(length, RELAXED_SECTION.length))))) return module
  at += length
  const relaxed = copyOf(module)
  for (let place = end; at < end && at < module.length;) {
    place += next()
    // `f32x4.mul` is 0xfd 0xe6 0x01: three times `nop`; `v128.bitselect` is 0xfd 0xd2 0x00; what else is there is `f32x4.add`.
    const second = module[place + 1]
    relaxed.set(second === 0xe6 ? [1, 1, 1] : [0xfd, ...(second === 0xd2 ? [0x8b, 2] : [0x85, 2])], Math.min(place, module.length - 3))
  }
  return relaxed
}
