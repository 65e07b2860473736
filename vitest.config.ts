import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

/** Rooms whose tests open no device and change nothing global. */
const PURE = 'test/{bundle,codegen,dsl,front-end,graph,graph-passes,ir,manual,ops}/**/*.test.ts'
const GOLDEN = 'test/golden/**/*.test.ts'
const END_TO_END = 'test/end-to-end/**/*.test.ts'

/**
 * What a test file needs a process of its own for: a GPU, another process, a global that it changes. All others load the compiler once a
 * worker, in place of once a file.
 */
const ALONE = /softwareGpu|webgpu-of-tests|chromium|vi\.|process\.(?:env|chdir|on)|globalThis|spawn|execFile/i
const SHARING = ['cli', 'differential', 'draw', 'fusion', 'measure', 'plan', 'runtime', 'targets', 'wasm'].flatMap((room) =>
  readdirSync(join(import.meta.dirname, 'test', room))
    .map((file) => `test/${room}/${file}`).filter((file) =>
      file.endsWith('.test.ts') && !ALONE.test(readFileSync(join(import.meta.dirname, file), 'utf8'))
    )
)

export default defineConfig({
  // What samples import, without a build.
  resolve: { alias: [{ find: /^fusenet\/runtime$/, replacement: join(import.meta.dirname, 'runtime/index.ts') }] },
  test: {
    // A GPU object belongs to its process, and a driver that fails takes the process along: each file that may open one has its own.
    pool: 'forks',
    // The software adapter computes on every core by itself; more processes only wait for each other.
    maxWorkers: 2,
    // Compiling makes many small objects that live briefly: with Node's 16 MiB for them, a fifth of the time went to collecting them.
    execArgv: ['--max-semi-space-size=64'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/bench/**', PURE, GOLDEN, END_TO_END, ...SHARING],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      // Loading the compiler takes a third of a second a process.
      { extends: true, test: { name: 'pure', include: [PURE, ...SHARING], isolate: false, testTimeout: 60_000, hookTimeout: 60_000 } },
      { extends: true, test: { name: 'golden', include: [GOLDEN], testTimeout: 60_000, hookTimeout: 60_000 } },
      { extends: true, test: { name: 'end-to-end', include: [END_TO_END], testTimeout: 240_000, hookTimeout: 240_000 } },
    ],
  },
})
