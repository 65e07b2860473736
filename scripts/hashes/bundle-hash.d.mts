import type { Bundle } from '../../bundle/format.ts'

export declare function hashesOf(bundle: Bundle): Record<string, string>
