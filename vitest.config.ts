import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const END_TO_END = 'test/end-to-end/**/*.test.ts'

/**
 * What a test file needs a process of its own for: another process, a global that it changes. All others load the compiler once a worker, in
 * place of once a file; those that open a GPU among themselves, since a driver that fails takes its process along.
 */
const ALONE = /webgpu-of-tests|naga|chromium|vi\.|process\.(?:env|chdir|on)|globalThis|spawn|execFile/i
const GPU = /softwareGpu/
const ROOMS = readdirSync(join(import.meta.dirname, 'test'), { recursive: true }).map((file) =>
  `test/${String(file).replaceAll('\\', '/')}`
)
  .filter((file) => file.endsWith('.test.ts') && !/^test\/(?:end-to-end|device|bench)\//.test(file))
const textOf = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8')
const SHARING = ROOMS.filter((file) => !ALONE.test(textOf(file)))
const ON_GPU = SHARING.filter((file) => GPU.test(textOf(file)))

/** Files that keep a core busy for half a minute and more, the longest first. */
const LONG = ['golden/webgpu', 'samples-step', 'nets', 'workgroups', 'memory-small', 'wgsl', 'package', 'sample-page', 'docs']

/** Projects one after the other, so that files that may share a process follow each other; many small files last, so that both cores end at one time. */
const ORDER = ['gpu', 'end-to-end', 'alone', 'sharing']

/** The longest files of each project first. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification): number => {
      const long = LONG.findIndex((part) => moduleId.includes(part))
      return ORDER.indexOf(project.name) * 100 + (long < 0 ? LONG.length : long)
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  // What samples import, without a build.
  resolve: { alias: [{ find: /^fusenet\/runtime$/, replacement: join(import.meta.dirname, 'runtime/index.ts') }] },
  test: {
    // A GPU object belongs to its process, and a driver that fails takes the process along.
    pool: 'forks',
    // The software adapter computes on every core by itself; more processes only wait for each other.
    maxWorkers: 2,
    // Compiling makes many small objects that live briefly: with Node's 16 MiB for them, a fifth of the time went to collecting them.
    execArgv: ['--max-semi-space-size=64'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: { name: 'alone', include: ROOMS.filter((file) => !SHARING.includes(file)), testTimeout: 60_000, hookTimeout: 60_000 },
      },
      { extends: true, test: { name: 'gpu', include: ON_GPU, isolate: false, testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        extends: true,
        test: {
          name: 'sharing',
          include: SHARING.filter((file) => !ON_GPU.includes(file)),
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      { extends: true, test: { name: 'end-to-end', include: [END_TO_END], testTimeout: 240_000, hookTimeout: 240_000 } },
    ],
  },
})
