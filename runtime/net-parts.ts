import type { Device, Session } from '../bundle/device.ts'
import type { Bundle, Storage } from '../bundle/format.ts'

/** The parts of a net that `open` found or made. */
export interface NetParts {
  readonly bundle: Bundle
  readonly device: Device
  /** Whether closing the net closes the device. */
  readonly ownsDevice: boolean
  readonly session: Session
  readonly storage?: Storage
  readonly programs?: readonly string[]
  /** Reads the rest of the bundle, where only a part was read. */
  readonly whole?: () => Promise<Bundle>
  /** All programs that the bundle holds where it comes from, loaded or not. */
  readonly held?: readonly string[]
  /** Whether the statistics of a batch may be computed from a single value. */
  readonly allowOneValue?: boolean
  readonly seed: number
  readonly notes: readonly string[]
}
