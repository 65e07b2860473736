/**
 * Types of an imported net, for TypeScript, where no `digits.d.net.ts` lies beside it, and for imports with a `?`: `"types":
 * ["fusenet/vite/client"]` in tsconfig.json. Its inputs and outputs then have any name.
 */
declare module '*.net' {
  const net: import('fusenet').NetModule
  export default net
}
declare module '*.net?inline' {
  const net: import('fusenet').NetModule
  export default net
}
declare module '*.net?programs=infer' {
  const net: import('fusenet').NetModule
  export default net
}
declare module '*.net?weights=fresh' {
  const net: import('fusenet').NetModule
  export default net
}
