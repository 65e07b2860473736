import { join } from 'node:path'
import { type Bundle, FORMAT, FORMAT_VERSION, type Manifest } from '../bundle/format.ts'
import { planKind } from '../bundle/plans.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import { readSafetensors } from '../runtime/loading/safetensors.ts'
import { kindOf, readBytes, readText } from './files.ts'

/**
 * The readable part of a bundle of an older format: its text, its compile options, its weights. Undefined where the folder holds no such
 * bundle.
 */
export async function olderBundle(folder: string): Promise<Bundle | undefined> {
  if (await kindOf(join(folder, MANIFEST_FILE)) !== 'file') return undefined
  const said = parsed(await readText(join(folder, MANIFEST_FILE)))
  if (said?.['format'] !== FORMAT || typeof said['version'] !== 'number' || said['version'] >= FORMAT_VERSION) return undefined
  const { source, style, memory, precise, freeze, plans } = said as
    & Partial<Record<'style' | 'memory' | 'precise' | 'freeze' | 'plans', unknown>>
    & {
      source?: { files?: unknown }
    }
  const files = (Array.isArray(source?.files) ? source.files : []).filter((file: unknown): file is { name: string; text: string } =>
    typeof file === 'object' && file !== null && typeof (file as { name?: unknown }).name === 'string' &&
    typeof (file as { text?: unknown }).text === 'string'
  )
  const targets = typeof plans === 'object' && plans !== null
    ? Object.keys(plans).filter((name) => planKind(name) !== undefined) : []
  const manifest: Manifest = {
    format: FORMAT,
    version: FORMAT_VERSION,
    name: 'older',
    style: style === 'split' ? 'split' : 'merged',
    ...(memory === 'small' && { memory }),
    ...(precise === true && { precise }),
    ...(Array.isArray(freeze) && freeze.every((pattern) => typeof pattern === 'string') && { freeze }),
    source: { files, sha256: '' },
    inputs: [],
    outputs: [],
    parameters: [],
    // Which plans it had; what is in them is of no use any more.
    plans: Object.fromEntries(targets.map((target) => [target, { target, buffers: [], tensors: [], kernels: [], programs: {} }])),
  }
  const weights = join(folder, WEIGHTS_FILE)
  return {
    manifest,
    files: new Map(),
    ...(await kindOf(weights) === 'file' && { weights: readSafetensors(await readBytes(weights), weights).tensors }),
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}
