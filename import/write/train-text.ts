import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import type { Signature } from '../../dsl/signature.ts'
import type { ArgumentCall, ModelTraining } from '../model-net.ts'
import { callText, numberText, quoted, Unsayable } from './argument-text.ts'

/** The train block of a model, or nothing where it has none. Throws Unsayable. */
export function trainText(training: ModelTraining): string {
  const { data, augment, batch, accumulate, steps, epochs, seed, solver, schedule, snapshotEvery, testEvery } = training
  const number = (key: string, value: number | undefined): string[] => (value === undefined ? [] : [`${key} ${numberText(value, key)}`])
  const lines = [
    ...(data ? [`data ${data.call === 'path' ? quoted(String(data.arguments['path']), 'data') : said(vocabulary.datasets, data)}`] : []),
    ...(augment?.length ? [`augment ${augment.map((one) => said(vocabulary.augmentations, one)).join(', ')}`] : []),
    ...number('batch', batch),
    ...number('accumulate', accumulate),
    ...number('epochs', epochs),
    ...number('steps', epochs === undefined ? steps : undefined),
    ...number('seed', seed),
    `solver ${solver ? said(vocabulary.solvers, solver) : 'sgd(lr: 0.01, momentum: 0.9)'}`,
    ...(schedule?.length ? [`schedule ${schedule.map((one) => said(vocabulary.schedules, one)).join(' -> ')}`] : []),
    ...(testEvery === undefined ? [] : [`test every ${numberText(testEvery, 'test')} steps`]),
    ...(snapshotEvery === undefined ? [] : [`snapshot every ${numberText(snapshotEvery, 'snapshot')} steps`]),
  ]
  return `train {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`
}

function said(signatures: readonly Signature[], call: ArgumentCall): string {
  const signature = signatures.find(({ name }) => name === call.call)
  if (!signature) throw new Unsayable(`there is no ${call.call}`)
  return callText(signature, call)
}
