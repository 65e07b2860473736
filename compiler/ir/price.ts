/** What a fusion is estimated to change, in nanoseconds a sample. */
export interface Price {
  /** What the kernel takes longer with what is joined to it. */
  readonly joinedNs: number
  /** What passes of their own take. */
  readonly apartNs: number
}

/**
 * An estimate is trusted where it says that joining takes so many times what passes of their own take. Exponentials are counted exactly, and
 * take a little longer among the sums of a register tile (ten fusions between 1.1 and 1.25: 0.95 to 1.00 of the time of a net without them); what else a pass takes is mostly memory, of which estimates are off by less than this factor in nine of ten.
 */
const MARGIN = { functions: 1.1, memory: 2.2 }

/** Whether joining is slower beyond doubt. `moved`: what most of the time goes into that is spent here or there. */
export const isSlower = ({ joinedNs, apartNs }: Price, moved: keyof typeof MARGIN): boolean => joinedNs > MARGIN[moved] * apartNs

/** `1.2 us a sample here, 3.4 us apart`. */
export const showPrice = ({ joinedNs, apartNs }: Price): string => `${micros(joinedNs)} a sample here, ${micros(apartNs)} apart`

const micros = (ns: number): string => `${Number((ns / 1000).toPrecision(2))} us`
