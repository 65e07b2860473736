import { WEBGPU } from '../../bundle/plans.ts'
import type { Bundle, DispatchEntry } from '../../bundle/format.ts'
import type { NetSummary } from '../../compiler/summary.ts'
import { showCount } from '../screen.ts'
import { sceneOf } from './scene.ts'
import { type Panel, svgOf } from './svg.ts'
import { countBoxes, treeOf } from './tree.ts'
import { countOf } from '../../bundle/plain.ts'

export interface DrawOptions {
  /** The depth to which blocks are opened. Default: as deep as leaves the picture legible. */
  readonly depth?: number
  /** Kernels as regions, of these bundles beside each other. */
  readonly kernels?: readonly { readonly title: string; readonly bundle: Bundle }[]
}

/** Beyond so many boxes inner blocks are closed. */
const MOST_BOXES = 90
const DEEPEST = 16
/** The width of a column, in pixels. */
const COLUMN = 1000

/** A picture of a net, as SVG. */
export function draw(net: NetSummary, { depth, kernels }: DrawOptions = {}): string {
  let deep = depth ?? DEEPEST
  let items = treeOf(net, { depth: deep })
  if (depth === undefined) { while (deep > 0 && countBoxes(items) > MOST_BOXES) items = treeOf(net, { depth: --deep }) }
  const panel = (title: string, kernelsOf: (layer: string) => readonly number[]): Panel => ({
    title,
    scene: sceneOf(items, [], { net, kernelsOf }, kernels ? 2 * COLUMN : COLUMN),
  })
  const panels = kernels?.map(({ title, bundle }) => {
    const { dispatches } = bundle.manifest.plans[WEBGPU]!.programs['infer']!
    return panel(`${title}: ${countOf(dispatches.length, 'kernel')}`, kernelsByLayer(dispatches))
  }) ?? [panel('', () => [])]
  const { totals } = net
  return svgOf(
    net.name,
    `${countOf(totals.layers, 'layer')}, ${showCount(totals.parameters)} parameters, ${showCount(totals.flops)} FLOPs a sample${
      kernels ? '; what has one color and number is one kernel of inference' : ''
    }`,
    panels,
  )
}

/** The dispatches in which a layer's work is done, in their order. */
function kernelsByLayer(dispatches: readonly DispatchEntry[]): (layer: string) => readonly number[] {
  const found = new Map<string, number[]>()
  dispatches.forEach(({ facts }, i) => {
    for (const layer of facts?.layers ?? []) found.set(layer, [...(found.get(layer) ?? []), i])
  })
  return (layer) => found.get(layer) ?? []
}
