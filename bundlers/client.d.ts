/**
 * What an imported net is to TypeScript where no `digits.d.net.ts` lies beside it, nor can, behind a `?`: `"types": ["fusenet/vite/client"]` in
 * tsconfig.json. Its inputs and outputs have any name then.
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
