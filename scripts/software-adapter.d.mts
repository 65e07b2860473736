export declare function softwareAdapter(): Promise<{ libraryDir: string; icd: string }>
export declare function softwareAdapterEnvironment(environment?: NodeJS.ProcessEnv): Promise<Record<string, string>>
export declare function useSoftwareAdapter(): Promise<void>
export declare function headlessChromium(environment?: NodeJS.ProcessEnv): Promise<{ executable: string; environment: Record<string, string> }>
export declare const dawnFlags: string[]
export declare const chromiumFlags: string[]
