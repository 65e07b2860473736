/** Other libraries as subjects of the zoo, built from the plain layers of the net's text. */
export async function openPeer(build, name) {
  throw new Error(`no peer ${name} yet`)
}
