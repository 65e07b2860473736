/**
 * Compilers of other revisions, each as one file that needs no other. A compiler is told by the hash of its code without spaces, comments and
 * names: whatever was formatted, moved or renamed, equal code is the same compiler, and nothing need be compiled to know it.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { build } from 'esbuild'
import { root } from '../steps.mjs'

const hashOf = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** One module out of many: its path, and the hash of its code. It lies in the folder. */
export async function bundled(entry, folder) {
  const { outputFiles: [file] } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    minify: true,
    legalComments: 'none',
    write: false,
    logLevel: 'error',
  })
  const id = hashOf(file.contents)
  const path = join(folder, `${id}.mjs`)
  writeFileSync(path, file.contents)
  return { id, path }
}

/** The compiler as the working tree has it. */
export const compilerOfTree = (folder) => bundled(sourceOf(root), folder)

/** The compiler of a commit. */
export async function compilerOf(revision, folder) {
  const commit = commitOf(revision)
  const tree = mkdtempSync(join(tmpdir(), 'fusenet-revision-'))
  try {
    execFileSync('tar', ['-x', '-f', '-', '-C', tree], { input: git('archive', '--format=tar', commit, '--', '*.json', '*.ts') })
    return { ...await bundled(sourceOf(tree), folder), commit }
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

/** The compiler of a package that is built: the folder of the package, or its `dist`. */
export function compilerOfBuild(path, folder) {
  const built = resolve(path)
  const found = [built, dirname(built)].filter((at) => existsSync(join(at, 'package.json'))).map((at) => join(at, exported(at))).find((
    file,
  ) => existsSync(file) && !relative(built, file).startsWith('..'))
  const entry = found ?? join(built, 'compiler/index.js')
  if (!existsSync(entry)) throw new Error(`${path} holds no compiler that is built: no ${entry}`)
  return bundled(entry, folder)
}

/** What the package exports as its compiler. */
const exported = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).exports['./compiler'].default

/** The source of what the package exports as its compiler: where the build writes to, and from where, its settings say. */
function sourceOf(folder) {
  const { outDir, rootDir } = JSON.parse(readFileSync(join(folder, 'tsconfig.build.json'), 'utf8')).compilerOptions
  return join(folder, rootDir, relative(outDir, exported(folder)).replace(/\.js$/, '.ts'))
}

/**
 * The commit to compare with: of a branch, the one where `from` left it, since what others have landed there after that is not ours; else the revision
 * itself. `told`: which commit that is, in words.
 */
export function comparedWith(revision, from = 'HEAD') {
  const named = commitOf(revision)
  const left = isBranch(revision) ? mergeBaseOf(named, commitOf(from)) : undefined
  const commit = left ?? named
  const subject = git('show', '--no-patch', '--format=%h %s', commit).toString().trim()
  return { commit, told: commit === named ? `against ${subject}` : `against ${subject}, where ${from} left ${revision}` }
}

function isBranch(revision) {
  try {
    return /^refs\/(heads|remotes)\//.test(git('rev-parse', '--symbolic-full-name', revision).toString())
  } catch {
    return false
  }
}

/** Undefined where two commits have none, or a shallow clone does not reach it. */
function mergeBaseOf(a, b) {
  try {
    return git('merge-base', a, b).toString().trim()
  } catch {
    return undefined
  }
}

function commitOf(revision) {
  try {
    return git('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`).toString().trim()
  } catch {
    throw new Error(`there is no commit ${revision} here; a shallow clone has few`)
  }
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] })
}
