import type { LayerView } from '../layer-view.ts'
import type { Blob } from '../net-builder.ts'

/** What a layer of Caffe becomes: emits layers of the language, gives the value of each top. */
export type Converter = (view: LayerView) => readonly Blob[]

/** An axis of a blob [n, ...dims], from 0, the batch; negative ones count from the end. */
export function axisOf(view: LayerView, x: Blob, axis: number, name = 'axis'): number {
  const rank = x.dims.length + 1
  const from = axis < 0 ? axis + rank : axis
  if (from < 0 || from >= rank) view.refuse(`its ${name} is ${axis}, and ${x.value} has ${rank} axes`)
  return from
}

/** An axis that is not the batch. */
export function innerAxis(view: LayerView, x: Blob, axis: number, name = 'axis'): number {
  const from = axisOf(view, x, axis, name)
  if (from === 0)
    view.refuse(
      `its ${name} is the batch; samples do not see each other here`,
      'a net works on one sample; do this with its inputs or outputs',
    )
  return from
}

/** [C, H, W]; tells where x is no map. */
export function mapOf(view: LayerView, x: Blob): readonly [number, number, number] {
  if (x.dims.length !== 3) view.refuse(`it works on maps [n, channels, height, width], and ${x.value} is [${['n', ...x.dims].join(', ')}]`)
  return x.dims as readonly [number, number, number]
}

/** Tells where blobs have unequal shapes. */
export function sameDims(view: LayerView, blobs: readonly Blob[]): readonly number[] {
  const shown = blobs.map(({ dims }) => `[${['n', ...dims].join(', ')}]`)
  if (new Set(shown).size > 1) view.refuse(`its bottoms have unequal shapes: ${shown.join(' and ')}`)
  return blobs[0]!.dims
}
