/** What a fusion is estimated to change, in nanoseconds a sample. */
export interface Price {
  /** What the kernel takes longer with what is joined to it. */
  readonly joinedNs: number
  /** What passes of their own take. */
  readonly apartNs: number
}

/** An estimate is trusted where it says that joining takes so many times what passes of their own take. */
const MARGIN = 1.25

export const isSlower = ({ joinedNs, apartNs }: Price): boolean => joinedNs > MARGIN * apartNs

/** `1.2 us a sample here, 3.4 us apart`. */
export const showPrice = ({ joinedNs, apartNs }: Price): string => `${micros(joinedNs)} a sample here, ${micros(apartNs)} apart`

const micros = (ns: number): string => `${Number((ns / 1000).toPrecision(2))} us`
