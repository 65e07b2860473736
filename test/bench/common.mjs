import { readFileSync } from 'node:fs'

/** What a competitor throws when a workload is not for it, as training is not for onnxruntime-web. */
export class Unsupported extends Error {
  name = 'Unsupported'
}

/** The version of an installed package; `base` is the folder that holds node_modules. */
export const packageVersion = (base, name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, base), 'utf8')).version
