/**
 * What few pages use, loaded when it is asked for: saving in the browser, files of users, nets in workers. One door for all of it: for each
 * further one bundlers would cut what it shares with a page into pieces of their own, a request each.
 */
export { openRemote } from './remote/open-remote.ts'
export { netFiles } from './saved/nets.ts'
export { filesOf } from './saved/one-file.ts'
export { checkTarget, saveTo } from './saved/save-to.ts'
export { matchWeights, sayMatch } from './match-weights.ts'
export { ConfusionCounter } from './per-class.ts'
