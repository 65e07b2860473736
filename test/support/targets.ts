import { planFor } from '../../bundle/plans.ts'
import type { Device } from '../../runtime/index.ts'

/** What a net has to be compiled for to run on a device: nothing for the interpreter, which reads the text. */
export const targetsOf = (device: Device): string[] => (device.name === 'interpreter' ? [] : [planFor(device)])
