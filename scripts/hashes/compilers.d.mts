export declare function comparedWith(revision: string, from?: string): { commit: string; told: string }
