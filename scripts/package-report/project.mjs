/** The package as it is packed, a project that it is installed in, and commands that run there. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { root } from '../steps.mjs'

/** Entries for configurations of bundlers, which stand in a project of Node. */
export const FOR_BUILDS = /\/(?:vite|rollup|webpack|rspack|esbuild|rolldown)\b/
/** y = 2 x0 - x1 + 0.5, once its weights are set. */
export const LINE = 'net line { input x: f32[2] y = x -> fc(1) as fc output y_ = y }\n'

export const fusenet = (project) => join(project, 'node_modules', 'fusenet', 'dist', 'cli', 'main.js')
export const packageOf = (project) => JSON.parse(readFileSync(join(project, 'node_modules', 'fusenet', 'package.json'), 'utf8'))
export const kilobytes = (bytes) => `${Math.round(bytes / 1024)} KiB`

/** A folder with the packed package, and an empty project that it is installed in. Remove `folder` in the end. */
export function prepare() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fusenet-package-')))
  const clone = join(folder, 'clone')
  // As a fresh clone, so that nothing that was built here is packed, and nothing that is used here is built anew.
  const none = /^(?:\.git|\.ci|node_modules|dist|out|test|findings)$/
  mkdirSync(clone)
  for (const name of readdirSync(root)) if (!none.test(name)) cpSync(join(root, name), join(clone, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'), 'junction')
  const packed = npm(clone, 'pack', '--json', '--silent', '--pack-destination', folder)
  const [{ filename, size, files }] = JSON.parse(packed.slice(packed.indexOf('[\n')))
  const project = join(folder, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }\n')
  // Its dependencies as they lie here: nothing is asked of a registry.
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const given = Object.keys(dependencies).map((name) => join(root, 'node_modules', name))
  npm(
    project,
    'install',
    '--prefer-offline',
    '--install-links',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--silent',
    join(folder, filename),
    ...given,
  )
  return { folder, clone, project, tarball: join(folder, filename), packedBytes: size, files: files.map(({ path }) => path) }
}

export function same(got, want) {
  if (got !== want) throw new Error(`got ${got}, not ${want}`)
}

/** A command, or a script of Node. */
export function spawn(cwd, command, argv) {
  const [program, ...rest] = /\.[cm]?js$/.test(command) ? [process.execPath, command, ...argv] : [command, ...argv]
  // Neither what this project's npm hands down nor its own packages.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      !/^(?:npm_(?:package|lifecycle|config_(?:local_)?prefix)|NODE_PATH|NODE_OPTIONS|FORCE_COLOR|VITEST|INIT_CWD)/.test(name)
    ),
  )
  const { status, stdout, stderr, error } = spawnSync(program, rest, {
    cwd,
    encoding: 'utf8',
    env: { ...env, NO_COLOR: '1' },
    maxBuffer: 2 ** 28,
  })
  if (error) throw error
  return { status, stdout: stripVTControlCharacters(stdout), stderr: stripVTControlCharacters(stderr) }
}

export function run(cwd, command, ...argv) {
  const { status, stdout, stderr } = spawn(cwd, command, argv)
  if (status !== 0) throw new Error(`${relative(root, command)} ${argv.join(' ')} (exit code ${status}): ${stdout}${stderr}`)
  return stdout
}

function npm(cwd, ...argv) {
  const cli = process.env.npm_execpath
  if (cli && /npm-cli\.[cm]?js$/.test(cli)) return run(cwd, cli, ...argv)
  return process.platform === 'win32' ? run(cwd, 'cmd', '/c', 'npm', ...argv) : run(cwd, 'npm', ...argv)
}
