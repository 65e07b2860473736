/**
 * Parts that few pages use, loaded when they are needed: saving in the browser, files of users, nets in workers. All of them have one
 * entry module: with several, bundlers would split what they share with a page into further files, one request each.
 */
export { openRemote } from './remote/open-remote.ts'
export { netFiles } from './saved/nets.ts'
export { filesOf } from './saved/one-file.ts'
export { checkTarget, saveTo } from './saved/save-to.ts'
export { matchWeights, sayMatch } from './match-weights.ts'
export { ConfusionCounter } from './per-class.ts'
