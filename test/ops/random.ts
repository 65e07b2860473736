export { generator } from '../support/random-net.ts'

export const pick = <T>(r: () => number, from: readonly T[]): T => from[Math.floor(r() * from.length)]!
