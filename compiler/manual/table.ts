import type { Signature } from '../../dsl/signature.ts'
import { operators } from '../ops/registry.ts'
import { fillers as fillerSignatures } from '../ops/fillers.ts'
import { vocabulary } from '../front-end/vocabulary.ts'
import { activations } from './activations.ts'
import { arithmetic } from './arithmetic.ts'
import { joining } from './joining.ts'
import { losses } from './losses.ts'
import { normalizations, statistics } from './normalization.ts'
import type { Group, ManualPage } from './page.ts'
import { reductions } from './reductions.ts'
import { augmentations, datasets, fillers, schedules, solvers } from './training.ts'
import { convolutions, pooling } from './windows.ts'

/** One call with all that is told of it. */
export interface Entry {
  readonly signature: Signature
  readonly page: ManualPage
  readonly kind: Kind
  readonly group: Group
}

/** The kind of thing that a name stands for; `sigmoid` is a layer and a schedule. */
export type Kind = 'layer' | 'loss' | 'metric' | 'statistics' | 'filler' | 'solver' | 'schedule' | 'augmentation' | 'dataset'

/** The place in a file where calls of each kind are written. */
export const WRITTEN: Readonly<Record<Kind, string>> = {
  layer: 'x -> ',
  loss: 'loss = ',
  metric: 'metric NAME = ',
  statistics: 'batch_norm(stats: ...)',
  filler: 'weight_init: ',
  solver: 'solver ',
  schedule: 'schedule ',
  augmentation: 'augment ',
  dataset: 'data ',
}

/** `batch_norm(stats: ...)` takes one of these. */
const policies = ((): readonly Signature[] => {
  const stats = operators.get('batch_norm')!.signature!.parameters.find((p) => p.name === 'stats')!.type
  return stats.kind === 'call' ? stats.calls : []
})()

const TABLE: readonly { readonly group: Group; readonly kind: Kind; readonly signatures: readonly Signature[] }[] = [
  ...[convolutions, pooling, normalizations, activations, arithmetic, joining, reductions, losses].map((group) => ({
    group,
    kind: 'layer' as const,
    signatures: vocabulary.layers,
  })),
  { group: statistics, kind: 'statistics', signatures: policies },
  { group: fillers, kind: 'filler', signatures: fillerSignatures },
  { group: solvers, kind: 'solver', signatures: vocabulary.solvers },
  { group: schedules, kind: 'schedule', signatures: vocabulary.schedules },
  { group: augmentations, kind: 'augmentation', signatures: vocabulary.augmentations },
  { group: datasets, kind: 'dataset', signatures: vocabulary.datasets },
]

/** Groups in the order in which they are read. */
export const groups: readonly Group[] = TABLE.map(({ group }) => group)

/** Every call of the language, in the order of the groups. */
export const entries: readonly Entry[] = TABLE.flatMap(({ group, kind, signatures }) =>
  Object.entries(group.pages).flatMap(([name, page]) => {
    const signature = signatures.find((s) => s.name === name)
    const role = signature?.role === 'loss' || signature?.role === 'metric' ? signature.role : kind
    return signature ? [{ signature, page, kind: role, group }] : []
  })
)

/** Every call that a file can hold, by kind. */
export const signaturesOf: ReadonlyMap<string, readonly Signature[]> = new Map([
  ['layers', vocabulary.layers],
  ['statistics', policies],
  ['fillers', fillerSignatures],
  ['solvers', vocabulary.solvers],
  ['schedules', vocabulary.schedules],
  ['augmentations', vocabulary.augmentations],
  ['datasets', vocabulary.datasets],
])
