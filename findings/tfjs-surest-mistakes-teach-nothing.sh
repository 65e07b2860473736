#!/usr/bin/env bash
# TensorFlow.js 4.22.0: a model that ends in softmax and is compiled with the loss 'sparseCategoricalCrossentropy' learns nothing from a sample whose
# class it gives less than 1e-7: probabilities are clipped before the logarithm, so the loss stays at 16.1 and the gradient is exactly 0. The
# same scores through tf.losses.softmaxCrossEntropy have the gradient 1. A net that is as wrong as can be about a label (a slip of the
# annotator, a new class, a bad start) never hears of it; other frameworks, and softmax losses computed of scores, do teach it.
# Seen on Node 20, one step of SGD at rate 1 from scores (gap, 0) with the label 1:
#   gap 15: loss 15.00, the score moves by 1.00; of scores: loss 15.00, gradient 1.00
#   gap 17: loss 16.12, the score moves by 0.00; of scores: loss 17.00, gradient 1.00
#   gap 40: loss 16.12, the score moves by 0.00; of scores: loss 40.00, gradient 1.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-layers@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
cat > clipped.cjs <<'JS'
const tf = require('@tensorflow/tfjs-core')
const { layers, sequential } = require('@tensorflow/tfjs-layers')
require('@tensorflow/tfjs-backend-cpu')

async function main() {
  await tf.setBackend('cpu')
  const moved = {}
  for (const gap of [15, 17, 40]) {
    const model = sequential({ layers: [layers.dense({ units: 2, inputShape: [1], useBias: false, activation: 'softmax' })] })
    model.setWeights([tf.tensor2d([[gap, 0]])])
    model.compile({ optimizer: tf.train.sgd(1), loss: 'sparseCategoricalCrossentropy' })
    const loss = await model.trainOnBatch(tf.tensor2d([[1]]), tf.tensor1d([1]))
    moved[gap] = (await model.getWeights()[0].data())[1]
    const onehot = tf.tensor2d([[0, 1]])
    const scores = tf.tensor2d([[gap, 0]])
    const straight = (await tf.losses.softmaxCrossEntropy(onehot, scores).data())[0]
    const gradient = -(await tf.grad((z) => tf.losses.softmaxCrossEntropy(onehot, z))(scores).data())[1]
    console.log(`gap ${gap}: loss ${loss.toFixed(2)}, the score moves by ${moved[gap].toFixed(2)}; of scores: loss ${straight.toFixed(2)}, gradient ${gradient.toFixed(2)}`)
    if (Math.abs(gradient - 1) > 1e-3) throw new Error('softmaxCrossEntropy does otherwise now')
  }
  if (Math.abs(moved[15] - 1) > 1e-3 || moved[17] !== 0 || moved[40] !== 0) throw new Error('the loss is clipped otherwise now')
}
main().catch((error) => { console.error(error.message); process.exit(1) })
JS
node clipped.cjs | grep gap
