/** Labelled pictures as bytes: what files of any kind become before they go to the net. */
export interface Samples {
  readonly count: number
  /** [c, h, w] of one picture. */
  readonly shape: readonly [number, number, number]
  /** [count, c, h, w] */
  readonly images: Uint8Array
  readonly labels: Int32Array
}

export interface DataFiles {
  /** `mnist`, or what was found where. */
  readonly name: string
  readonly train: Samples
  readonly test: Samples
  /** Names of the labels, where files tell. */
  readonly classes?: readonly string[]
}

/** The first `count` of them. */
export function first(samples: Samples, count: number): Samples {
  if (count >= samples.count) return samples
  const size = samples.shape[0] * samples.shape[1] * samples.shape[2]
  return { count, shape: samples.shape, images: samples.images.subarray(0, count * size), labels: samples.labels.subarray(0, count) }
}
