import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import 'backend'
import { BATCH, fetchWeights, image, images, labels, tell, work } from './work.mjs'

const EPS = 1e-5
const NEWEST = 0.1

async function page() {
  const [weights] = await Promise.all([fetchWeights(), tf.setBackend(DEVICE)])
  const v = Object.fromEntries(
    Object.entries(weights).map((
      [name, { shape, values }],
    ) => [name, tf.variable(tf.tensor(values, shape), !name.includes('running'), name)]),
  )
  const optimizer = tf.train.sgd(0.05)

  const norm = (x, name, training) => {
    const [gamma, beta, mean, variance] = ['gamma', 'beta', 'running_mean', 'running_var'].map((role) => v[`${name}.${role}`])
    if (!training) return tf.batchNorm(x, mean, variance, beta, gamma, EPS)
    const batch = tf.moments(x, x.shape.slice(0, -1).map((_, i) => i))
    for (const [running, newest] of [[mean, batch.mean], [variance, batch.variance]]) {
      running.assign(tf.add(tf.mul(running, 1 - NEWEST), tf.mul(newest, NEWEST)))
    }
    return tf.batchNorm(x, batch.mean, batch.variance, beta, gamma, EPS)
  }
  const conv = (x, name) => tf.add(tf.conv2d(x, v[`${name}.weight`], 1, 'valid'), v[`${name}.bias`])
  const fc = (x, name) => tf.add(tf.matMul(x, v[`${name}.weight`]), v[`${name}.bias`])
  const logits = (x, training) => {
    x = tf.maxPool(tf.relu(norm(conv(x, 'conv1'), 'bn1', training)), 2, 2, 'valid')
    x = tf.maxPool(tf.relu(norm(conv(x, 'conv2'), 'bn2', training)), 2, 2, 'valid')
    return fc(tf.relu(norm(fc(tf.reshape(x, [-1, 800]), 'fc1'), 'bn3', training)), 'fc2')
  }
  return work({
    infer: () => tf.tidy(() => tf.softmax(logits(tf.tensor4d(image, [1, 28, 28, 1]), false))).data(),
    async step() {
      const loss = tf.tidy(() => {
        const [x, wanted] = [tf.tensor4d(images, [BATCH, 28, 28, 1]), tf.oneHot(tf.tensor1d(labels, 'int32'), 10)]
        return optimizer.minimize(() => tf.losses.softmaxCrossEntropy(wanted, logits(x, true)), true)
      })
      return (await loss.data())[0]
    },
  })
}

tell(page())
