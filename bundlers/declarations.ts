import type { NetFile } from './net-file.ts'
export async function writeDeclarations(_net: NetFile): Promise<void> {}
