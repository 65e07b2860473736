import { wideProbe } from './wide-probe.ts'

/** What of Node's module `v8` is used here. It is asked for at run time: pages have none. */
interface Host {
  readonly arch: string
  readonly versions: Readonly<Record<string, string | undefined>>
  getBuiltinModule?(name: 'node:v8'): { setFlagsFromString(flag: string): void }
}

/** V8 joins neighbouring 128-bit operations to 256 bits. Flags are the process's, so workers follow, and compilation in the background. */
const FLAG = '--experimental-wasm-revectorize'
/** Node 22 joins no fused multiplications, and those before do not know the flag. */
const FIRST_MAJOR = 24
const host = (globalThis as { process?: Host }).process

/** Whether this process may be able to run vectors of twice the width: Node from 24 on, on x86-64. Costs nothing; whether it is able to, `isWide` finds out. */
export const mayBeWide = (): boolean =>
  host?.getBuiltinModule !== undefined && host.arch === 'x64' && Number.parseInt(host.versions['node'] ?? '0', 10) >= FIRST_MAJOR

let answer: boolean | undefined

/**
 * Whether wide kernels are fast here and give the same bits: measured once a process, in some hundredths of a second. Switches V8's flag on for this
 * process, before any module is compiled that is to profit, and off again where the answer is no: a processor without AVX2, an engine that changed.
 */
export function isWide(): boolean {
  if (answer !== undefined) return answer
  if (!mayBeWide()) return answer = false
  try {
    const v8 = host!.getBuiltinModule!('node:v8')
    v8.setFlagsFromString(FLAG)
    answer = wideProbe()
    if (!answer) v8.setFlagsFromString(FLAG.replace('--', '--no-'))
  } catch {
    // Another engine that calls itself Node, or no WebAssembly of this kind.
    answer = false
  }
  return answer
}
