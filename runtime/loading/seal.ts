import { sha256Of } from '../../bundle/digest.ts'
import { BundleError } from '../../bundle/errors.ts'

/** Node's own module: WebCrypto takes as long to load there as the files of a small net to be hashed, and its work waits for a thread. */
interface NodeCrypto {
  createHash(algorithm: 'sha256'): { update(bytes: Uint8Array): { digest(encoding: 'hex'): string } }
}

/** Bytes beyond which hashing is left to another thread: this one is held up for half a millisecond at most. */
const HASHED_HERE = 2 ** 20

/** SHA-256 in hex: by Node, by WebCrypto, and more slowly where both are absent (pages that are not served securely). */
export async function sha256(data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
  const { crypto, process } = globalThis as {
    crypto?: Crypto
    process?: { getBuiltinModule?(name: string): NodeCrypto | undefined }
  }
  const node = bytes.length > HASHED_HERE ? undefined : process?.getBuiltinModule?.('node:crypto')
  if (node) return node.createHash('sha256').update(bytes).digest('hex')
  const subtle = crypto?.subtle
  if (!subtle) return sha256Of(bytes)
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/**
 * The text that the seal hashes: `bundle.json` without `sha256`, as compact JSON in the order of its keys. So white space and the
 * spelling of numbers may change, but not their values.
 */
export function sealedText(manifest: { readonly sha256?: unknown }): string {
  const { sha256: _, ...rest } = manifest
  try {
    return JSON.stringify(rest)
  } catch {
    // What no check looks at may be nested as deeply as it likes; texts are parsed without recursion, but written with it.
    throw new BundleError([{ path: 'bundle.json', message: 'is nested too deeply' }])
  }
}

/** A manifest as it goes into a file. */
export async function seal<T extends object>(manifest: T): Promise<T & { readonly sha256: string }> {
  return { ...manifest, sha256: await sha256(sealedText(manifest)) }
}
