/** What `npm start` and `npm test` share. Plain Node: nothing may be installed yet. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Ends the process where Node is too old to go on, and says so in words. */
export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  console.error(`fusenet needs Node 20.19 or newer, this is ${process.versions.node}`)
  process.exit(1)
}

// Ctrl-C goes to the command that runs: a training writes a snapshot before it ends.
process.on('SIGINT', () => {})

/** Whether a command worked. It runs in the root of the project and writes to our output. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) console.error(`${command}: ${error.message}`)
  return status === 0
}

export const node = (...args) => run(process.execPath, args)

/** npm as it was called, or as the path has it. */
export function npm(...args) {
  const cli = process.env.npm_execpath
  if (cli && /npm-cli\.[cm]?js$/.test(cli)) return node(cli, ...args)
  return process.platform === 'win32' ? run('cmd', ['/c', 'npm', ...args]) : run('npm', args)
}

/** Installs what the lock file says, if it is not there already. Whether that worked. */
export function install() {
  if (isInstalled()) return true
  console.log('installing packages (npm ci)')
  // All of it, even where NODE_ENV is production. Told how loud to be: a silent `npm test` hands its silence down, and a failure would have no reason.
  return npm('ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=warn')
}

/** npm notes in node_modules what it put there: the same packages in the same versions as in the lock file, but for those of other platforms. */
function isInstalled() {
  try {
    const packagesIn = (file) => Object.entries(JSON.parse(readFileSync(join(root, file), 'utf8')).packages).filter(([name]) => name !== '')
    const there = new Map(packagesIn('node_modules/.package-lock.json'))
    return packagesIn('package-lock.json').every(([name, wanted]) =>
      there.has(name) ? there.get(name).version === wanted.version : wanted.optional === true || wanted.peer === true
    )
  } catch {
    return false
  }
}

export const build = () => npm('run', '--silent', 'build')
