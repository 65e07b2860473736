import type { Bundle, ProgramName, Style } from '../../bundle/format.ts'
import type { Screen } from '../screen.ts'

/** Formats as `--to` calls them. */
export const FORMATS = ['onnx', 'onnx-step', 'caffe', 'torch'] as const
export type Format = typeof FORMATS[number]

/** What the verb's options say of how a net is written. */
export interface ExportSettings {
  readonly opset?: number
  readonly batch?: number
  readonly fold: boolean
  readonly style?: Style
  readonly check: boolean
  /** What the command reads, and must not be written over. */
  readonly inputs: readonly string[]
}

/** A format that nets are exported to. */
export interface Target {
  /** How its files end. Absent: it writes a folder. */
  readonly ending?: string
  /** The programs that the net is compiled with: of what is written, and of what it is compared with. Absent: `infer`. */
  readonly programs?: readonly ProgramName[]
  /** Gives an untrained net the values that it starts with. Absent: those that it has when it is opened. */
  started?(bundle: Bundle): Bundle
  /** What is said of another file. */
  readonly says: string
  /** Throws, before anything is compiled, for options that it does not take and files that it must not replace. */
  prepare(file: string, settings: ExportSettings): Promise<void>
  write(file: string, bundle: Bundle, settings: ExportSettings & { readonly isTrained: boolean }, screen: Screen): Promise<void>
}
