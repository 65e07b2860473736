/** The compiler: `.net` text to bundles. A pure function of text and options; no device, no file. */
export { check, compile, type CompileOptions, TARGET_NAMES } from './compile.ts'
export { DEFAULT_PROGRAMS, PROGRAM_NAMES } from './front-end/choose-programs.ts'
export { CompileError } from './compile-error.ts'
export { inspect, type InspectOptions } from './compile.ts'
export { inspectManifest, type InspectReport, type KernelReport, type ProgramReport } from './report.ts'
export { interpreter } from './interpreter-device.ts'
