/**
 * `npm start`: installs, builds, trains LeNet on MNIST, tests the bundle that came of it, and says what to try next.
 * Arguments go to the training: `npm start -- --epochs 1 --seed 3`.
 */
import { join } from 'node:path'
import { build, checkNode, install, node } from './steps.mjs'

const FUSENET = join('dist', 'cli', 'main.js')
const BUNDLE = join('out', 'mnist')

checkNode()
const args = process.argv.slice(2)
if (!begin('npm ci', install()) || !begin('npm run build', build())) process.exit()

// Training ends with a test on all 10,000 test images, and the bundle is written before it.
if (fusenet('train', join('samples', 'mnist.net'), '-o', BUNDLE, ...args)) sayWhatNext()
else process.exitCode = 1

function begin(name, worked) {
  if (!worked) {
    console.error(`failed: ${name}`)
    process.exitCode = 1
  }
  return worked
}

function fusenet(...args) {
  console.log(`\n$ fusenet ${args.join(' ')}`)
  return node(FUSENET, ...args)
}

function sayWhatNext() {
  const next = [
    [`eval ${BUNDLE} --data mnist`, 'the same test from the files that were written'],
    ['inspect samples/mnist.net', 'what is fused into which kernel, and why not more'],
    ['inspect samples/mnist.net --style split', 'the same net, a pass a layer'],
    [`run ${BUNDLE} --input digit.png`, 'a picture of your own'],
    [`compile samples/mnist.net --weights ${BUNDLE} --format esm -o out/mnist.js`, 'one file for a page'],
    [`train samples/mnist.net --seed 2 -o ${BUNDLE}`, 'again, from another start'],
  ].map(([command, what]) => `  # ${what}\n  node ${FUSENET} ${command}`)
  console.log(`
${BUNDLE} holds the trained net: bundle.json, readable kernels, weights. What to try next:

${next.join('\n')}

samples/README.md has more nets, docs/ the rest. After \`npm link\`, the command is \`fusenet\`.`)
}
