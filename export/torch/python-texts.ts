// The files of export/torch/python. The build of the package puts them here (scripts/torch-python.mjs), as tests do: from the sources there are none.

/** What net.py carries of, by file. */
export const LAYERS: Readonly<Record<string, string>> = {}

/** What stands beside net.py, by file: `train.py`, `training/run.py`. */
export const BESIDE: Readonly<Record<string, string>> = {}
