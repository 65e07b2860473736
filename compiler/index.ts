/** The compiler: `.net` text to bundles. A pure function of text and options; no device, no file. */
export { check, compile, type CompileOptions } from './compile.ts'
export { CompileError } from './compile-error.ts'
export { inspect, type InspectOptions } from './compile.ts'
export { inspectManifest, type InspectReport, type KernelReport, type ProgramReport } from './inspect.ts'
export { interpreter } from './interpreter.ts'
