/**
 * node test/bench/first-result/install.mjs [PACKAGE ...]: MiB on the disk that somebody gets who installs a package in an empty
 * project, dependencies included. A package is what npm takes: a name, or a tarball that `npm pack` made of a fresh clone of fusenet.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const { dependencies: versions } = JSON.parse(readFileSync(new URL('../peers/package.json', import.meta.url), 'utf8'))
/** Of tfjs all of it, and the least that a page with WebGPU needs. */
const PEERS = [['@tensorflow/tfjs'], ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-webgpu'], ['@jax-js/jax']]
const versioned = (name) => `${name}@${versions[name] ?? versions['@tensorflow/tfjs']}`

console.log('| installed | packages | MiB |\n| --- | --- | --- |')
for (
  const wanted of [
    ...process.argv.slice(2).map((name) => [existsSync(name) ? resolve(name) : name]),
    ...PEERS.map((names) => names.map(versioned)),
  ]
) {
  const folder = mkdtempSync(join(tmpdir(), 'fusenet-install-'))
  try {
    writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }\n')
    const argv = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--silent', ...wanted]
    const { status, stderr } = spawnSync('npm', argv, { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' })
    if (status !== 0) throw new Error(`npm ${argv.join(' ')}: ${stderr}`)
    const modules = join(folder, 'node_modules')
    const packages = Object.keys(JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages).length
    console.log(`| ${wanted.join(', ')} | ${packages} | ${(onDisk(modules) / 2 ** 20).toFixed(1)} |`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** As `du` counts on a disk of blocks of 4 KiB: whole blocks, folders too, a file of several names once. */
function onDisk(path, seen = new Set()) {
  const stat = lstatSync(path)
  if (stat.nlink > 1 && !stat.isDirectory() && seen.size === seen.add(stat.ino).size) return 0
  if (!stat.isDirectory()) return 4096 * Math.ceil(stat.size / 4096)
  return 4096 + readdirSync(path).reduce((sum, name) => sum + onDisk(join(path, name), seen), 0)
}
