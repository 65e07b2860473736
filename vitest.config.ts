import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { moduleText } from './scripts/torch-python.mjs'

/**
 * What a test file needs a process of its own for: modules that it replaces, a global that it changes and does not restore, a browser. All others
 * load the compiler once a worker, in place of once a file. (`vi.stubGlobal` and `vi.spyOn` are undone behind each test, the working folder behind
 * each file.)
 */
const ALONE = /webgpu-of-tests|devices\/chromium|\.\/chromium\.ts|vi\.(?:mock|hoisted|resetModules)|Object\.assign\(globalThis/i
const GPU = /softwareGpu|validateWith/
const FILES = readdirSync(join(import.meta.dirname, 'test'), { recursive: true }).map((file) =>
  `test/${String(file).replaceAll('\\', '/')}`
)
  .filter((file) => file.endsWith('.test.ts') && !/^test\/(?:device|bench)\//.test(file))
const textOf = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8')
const SHARING = FILES.filter((file) => !ALONE.test(textOf(file)))
const ON_GPU = SHARING.filter((file) => GPU.test(textOf(file)))

/**
 * Files that keep a core busy for half a minute and more, the longest first. Others come by their size, so that a short file with long tests would
 * be the last.
 */
const LONG = [
  'golden/webgpu',
  'samples-step',
  'fused-producers',
  'nets',
  'workgroups',
  'golden/interpreter',
  'memory-small',
  'written-code',
  'package',
  'sample-page',
  'docs',
  'golden/wasm',
  'fusion/nests',
  'wide-nets',
  'cli/built',
  'docs-site',
  'bundle-hashes',
  'small-maps',
]

/**
 * Files that share processes follow each other, so that none is started anew for them: those that open a GPU first, the longest of each kind first.
 * Many small ones come last, so that both cores end at one time.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification): number => {
      const long = LONG.findIndex((part) => moduleId.includes(part))
      const kind = project.name === 'alone' ? 0 : ON_GPU.some((file) => moduleId.endsWith(file)) ? 1 : 2
      return kind * 100 + (long < 0 ? LONG.length : long)
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

/**
 * Compilers, V8's and the software adapter's, allocate much and free it all at once: with glibc's usual thresholds a tenth of the time on that
 * adapter went to giving memory back to the system and faulting it in again (56 CPU seconds became 50). Processes of workers inherit it; other
 * systems do not know it.
 */
process.env['GLIBC_TUNABLES'] ??=
  'glibc.malloc.trim_threshold=1073741824:glibc.malloc.top_pad=16777216:glibc.malloc.mmap_threshold=33554432'

/**
 * Whatever tests, and the processes that they start, leave in the folder for temporary files is gone when all have ended. This text runs once for each
 * project, and in each the same folder is meant: names of folders in folders would be cut where messages tell them.
 */
const OWN_FOLDER = 'FUSENET_TESTS_FOLDER'
if (process.env[OWN_FOLDER] === undefined) {
  const temporary = process.env[OWN_FOLDER] = mkdtempSync(join(tmpdir(), 'fusenet-tests-'))
  for (const name of process.platform === 'win32' ? ['TEMP', 'TMP'] : ['TMPDIR']) process.env[name] = temporary
  process.on('exit', () => rmSync(temporary, { recursive: true, force: true, maxRetries: 3 }))
}

export default defineConfig({
  // What the build puts in its place.
  plugins: [{ name: 'python-texts', load: (id) => (id.endsWith('/export/torch/python-texts.ts') ? moduleText() : undefined) }],
  // What samples import, without a build.
  resolve: { alias: [{ find: /^fusenet\/runtime$/, replacement: join(import.meta.dirname, 'runtime/index.ts') }] },
  test: {
    // A GPU object belongs to its process, and a driver that fails takes the process along: the file is told as failed, and others go on in a new one.
    pool: 'forks',
    // The software adapter computes on every core by itself; more processes only wait for each other.
    maxWorkers: 2,
    // Compiling makes many small objects that live briefly: with Node's 16 MiB for them, a fifth of the time goes to collecting them. Threads that
    // collect together wait for each other by turning. Two processes that compile at once on two cores: 11.0 s with 64 MiB, 9.4 s like this.
    execArgv: ['--max-semi-space-size=32', '--no-parallel-scavenge'],
    sequence: { sequencer: LongestFirst },
    // Pages, packages, servers and other processes are slow on a busy machine.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // Two alone: each transforms the sources for itself.
    projects: [
      { extends: true, test: { name: 'alone', include: FILES.filter((file) => !SHARING.includes(file)) } },
      // Loading the compiler takes a second a process.
      { extends: true, test: { name: 'sharing', include: SHARING, isolate: false } },
    ],
  },
})
