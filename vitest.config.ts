import { defineConfig } from 'vitest/config'

/** Rooms whose tests open no device and change nothing global. */
const PURE = 'test/{dsl,graph,loops,manual,ops,passes}/**/*.test.ts'
const GOLDEN = 'test/golden/**/*.test.ts'
const END_TO_END = 'test/end-to-end/**/*.test.ts'

export default defineConfig({
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
          exclude: ['**/node_modules/**', 'test/bench/**', PURE, GOLDEN, END_TO_END],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      // Loading the compiler takes a third of a second a process.
      { extends: true, test: { name: 'pure', include: [PURE], isolate: false, testTimeout: 60_000, hookTimeout: 60_000 } },
      { extends: true, test: { name: 'golden', include: [GOLDEN], testTimeout: 60_000, hookTimeout: 60_000 } },
      { extends: true, test: { name: 'end-to-end', include: [END_TO_END], testTimeout: 240_000, hookTimeout: 240_000 } },
    ],
  },
})
