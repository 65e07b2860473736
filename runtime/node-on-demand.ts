/** Parts of `node.ts` that are loaded when they are asked for: datasets, and files that are written. */
export { loadData, loadDataset } from './data/node-datasets.ts'
export { replaceFile } from './loading/node/files.ts'
export { writeBundle } from './loading/node/write-bundle.ts'
