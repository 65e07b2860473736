/**
 * SHA-256 (FIPS 180-4) of bytes, at once and anywhere: WebCrypto's answers later, and is absent in pages that are not served
 * securely. A tenth of its speed.
 */
export function sha256Of(bytes: Uint8Array): string {
  const state = Int32Array.from(SQUARES, fraction)
  const words = new Int32Array(64)
  const block = (view: DataView, at: number): void => {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i)
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15]!, y = words[i - 2]!
      words[i] = words[i - 16]! + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + words[i - 7]! + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))
    }
    let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!, e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + CONSTANTS[i]! + words[i]!) | 0
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + one) | 0
      d = c
      c = b
      b = a
      a = (one + two) | 0
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
    state[4]! += e
    state[5]! += f
    state[6]! += g
    state[7]! += h
  }
  const whole = bytes.length & ~63
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < whole; at += 64) block(view, at)
  // A bit 1, zeros, and the length in bits end the last block.
  const rest = bytes.subarray(whole)
  const end = new Uint8Array(rest.length < 56 ? 64 : 128)
  end.set(rest)
  end[rest.length] = 0x80
  const last = new DataView(end.buffer)
  last.setBigUint64(end.length - 8, BigInt(bytes.length) * 8n)
  for (let at = 0; at < end.length; at += 64) block(last, at)
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

const turn = (x: number, by: number): number => (x >>> by) | (x << (32 - by))

const PRIMES = [...Array(312).keys()].slice(2).filter((n) => [2, 3, 5, 7, 11, 13, 17].every((p) => n === p || n % p))
/** The first 32 bits behind the point. */
const fraction = (value: number): number => ((value % 1) * 2 ** 32) | 0
const SQUARES = PRIMES.slice(0, 8).map(Math.sqrt)
const CONSTANTS = Int32Array.from(PRIMES.slice(0, 64).map(Math.cbrt), fraction)
