import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { InputError } from '../../../bundle/errors.ts'

export interface Python {
  readonly path: string
  /** The version of PyTorch. */
  readonly version: string
}

const ASKED = `
import importlib.util, sys
missing = [name for name in ("torch", "numpy") if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"has no {' and no '.join(missing)}")
if sys.version_info < (3, 8):
    sys.exit(f"is Python {sys.version.split()[0]}: 3.8 or newer is needed")
from pathlib import Path
version = Path(importlib.util.find_spec("torch").origin).with_name("version.py").read_text()
print(version.split("__version__ = ")[1].split("\\n")[0].strip("'\\""))
`

/** A Python's reason, or the last line of whatever else it is. */
const lastLine = (said = ''): string => said.trim().split('\n').at(-1)!.slice(0, 200)

/** The Python that is named, or the first with PyTorch. PyTorch is not loaded for it: that takes seconds. Throws InputError that says what to install. */
export async function findPython(named?: string): Promise<Python> {
  const tried: string[] = []
  for (const path of named === undefined ? ['python3', 'python', '/usr/bin/python3'] : [named]) {
    try {
      const { stdout } = await promisify(execFile)(path, ['-c', ASKED], { timeout: 60_000 })
      return { path, version: stdout.trim() }
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string }
      const said = code === 'ENOENT' ? 'is not there'
        : code === 'EACCES' ? 'cannot be run' : lastLine(stderr) || 'does not run'
      tried.push(`${path} ${/^(has|is) /.test(said) ? said : `is no Python that runs: ${said}`}`)
    }
  }
  throw new InputError(
    `--on torch needs a Python with PyTorch:\n  ${
      tried.join('\n  ')
    }\ninstall it (pip install torch numpy pillow; on Debian and Ubuntu apt install python3-torch python3-pil), or name another Python by --python`,
  )
}
