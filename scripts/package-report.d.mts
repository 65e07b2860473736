export interface Prepared {
  /** Remove it in the end. */
  readonly folder: string
  readonly clone: string
  readonly project: string
  readonly tarball: string
  readonly packedBytes: number
  readonly files: readonly string[]
}

export function prepare(): Prepared
/** Each throws an Error that says what is wrong, and may give a figure. */
export const CHECKS: Readonly<Record<string, (prepared: Prepared) => string | void | Promise<string | void>>>
