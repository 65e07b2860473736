import type { Device, Session } from '../bundle/device.ts'
import type { Bundle, Storage } from '../bundle/format.ts'

/** What `open` found out. */
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
  /** Whether batch statistics may rest on one value. */
  readonly allowOneValue?: boolean
  readonly seed: number
  readonly notes: readonly string[]
}
