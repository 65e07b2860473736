/** Files of a bundle that have the same name in each. */
export const MANIFEST_FILE = 'bundle.json'
export const WEIGHTS_FILE = 'weights.safetensors'
