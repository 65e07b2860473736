import { sha256Of } from '../bundle/digest.ts'

/** SHA-256 of a text in hex. WebCrypto would do, but answers later, and `compile` answers at once. */
export const sha256Hex = (text: string): string => sha256Of(new TextEncoder().encode(text))
