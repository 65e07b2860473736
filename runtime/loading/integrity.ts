import { BundleError } from '../../bundle/errors.ts'
import { sha256 } from './seal.ts'
import type { FileEntry } from '../../bundle/stored.ts'

/** The content found in the place of a file of a bundle. */
export interface Found {
  /** The bytes. Absent: nothing was found. */
  readonly bytes?: Uint8Array
  /** Its URL or its path, for people. */
  readonly from?: string
  /** What HTTP answered: the status, the content type, and where a redirect led. */
  readonly status?: number
  readonly type?: string
  readonly redirectedTo?: string
}

/**
 * Reads files by their names inside the bundle's folder; undefined where there is no such file. `entry`: the length and hash that the
 * file must have, once known.
 */
export type FileReader = (name: string, entry?: FileEntry) => Promise<Uint8Array | Found | undefined>

/** The bytes of a file that must be there, and what messages call it. Throws BundleError, which says what is there instead. `hint`: if nothing is. */
export async function bytesOf(read: FileReader, name: string, entry?: FileEntry, hint = ''): Promise<{ bytes: Uint8Array; found: Found }> {
  const answer = await read(entry?.at ?? name, entry)
  const found: Found = answer instanceof Uint8Array ? { bytes: answer } : answer ?? {}
  const refuse = (message: string): never => {
    throw problem(name, found, message)
  }
  const { bytes } = found
  if (!bytes) return refuse(`is not there${answered(found)}${hint}`)
  if (isHtml(bytes))
    return refuse(
      `a page of HTML is there instead${answered(found)}${
        found.status === undefined ? '' : ': the server lacks the file, and says so by a page'
      }${hint}`,
    )
  if (!entry) return { bytes, found }
  const how = answered(found)
  if (bytes.length < entry.bytes) refuse(`is cut: ${bytes.length} bytes of ${entry.bytes}${how}`)
  const hash = await sha256(bytes)
  if (bytes.length > entry.bytes || hash !== entry.sha256) {
    const plain = withUnixLines(bytes)
    if (plain && await sha256(plain) === entry.sha256)
      refuse('was changed: its lines end in CRLF now (git: mark it as -text in .gitattributes)')
    if (bytes.length !== entry.bytes) refuse(`was changed or belongs to another bundle: ${bytes.length} bytes, not ${entry.bytes}${how}`)
    refuse(`was changed or belongs to another bundle: its SHA-256 is ${hash}, not ${entry.sha256}${how}`)
  }
  return { bytes, found }
}

export const problem = (name: string, { from = name }: Found, message: string): BundleError => new BundleError([{ path: from, message }])

/** ` (status 200, text/html)`, or nothing where it was not asked by HTTP. */
function answered({ status, type, redirectedTo }: Found): string {
  const parts = [
    ...(status === undefined ? [] : [`status ${status}${status === 206 ? ', a part' : ''}`]),
    ...(type ? [type] : []),
    ...(redirectedTo ? [`redirected to ${redirectedTo}`] : []),
  ]
  return parts.length > 0 ? ` (${parts.join(', ')})` : ''
}

/** No file of a bundle begins so. */
function isHtml(bytes: Uint8Array): boolean {
  const head = new TextDecoder().decode(bytes.subarray(0, 200)).trimStart().toLowerCase()
  return /^(<!doctype html|<html|<head|<body|<!--)/.test(head)
}

function withUnixLines(bytes: Uint8Array): Uint8Array | undefined {
  if (!bytes.includes(13)) return undefined
  return bytes.filter((byte, i) => !(byte === 13 && bytes[i + 1] === 10))
}

/** A text. Throws BundleError where it is none. */
export function textOf(bytes: Uint8Array, name: string, found: Found): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw problem(name, found, `is not UTF-8${answered(found)}`)
  }
}

export function jsonOf(bytes: Uint8Array, name: string, found: Found): unknown {
  const text = textOf(bytes, name, found)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw problem(name, found, `is not JSON${answered(found)}: ${(error as Error).message}`)
  }
}
