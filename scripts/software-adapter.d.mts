/** Throws on Linux on other processors than x64. */
export declare function softwareAdapter(): Promise<{ libraryDir: string; icd: string }>
/** Before a process starts: what its environment needs. Nothing on macOS and Windows. */
export declare function softwareAdapterEnvironment(environment?: NodeJS.ProcessEnv): Promise<Record<string, string>>
/** In the running process, before any GPU object is made. */
export declare function useSoftwareAdapter(): Promise<void>
/** What useSoftwareAdapter does besides: the package `webgpu` then waits without keeping a core busy. */
export declare function askLessOften(): void
/** For `create` of the package `webgpu`. */
export declare const dawnFlags: readonly string[]

export declare const chromiumRunsHere: boolean
export declare function headlessChromium(environment?: NodeJS.ProcessEnv): Promise<{ executable: string; environment: Record<string, string> }>
export declare const chromiumFlags: readonly string[]
