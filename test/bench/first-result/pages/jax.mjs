import { defaultDevice, init, jit, lax, nn, numpy as np, valueAndGrad } from '@jax-js/jax'
import { BATCH, fetchWeights, image, images, labels, tell, work } from './work.mjs'

const EPS = 1e-5
const NEWEST = 0.1

async function page() {
  const [weights] = await Promise.all([fetchWeights(), init(DEVICE)])
  defaultDevice(DEVICE)
  const arrays = Object.entries(weights).map(([name, { shape, values }]) => [name, np.array(values, { dtype: np.float32 }).reshape(shape)])
  let trained = Object.fromEntries(arrays.filter(([name]) => !name.includes('running')))
  let stored = Object.fromEntries(arrays.filter(([name]) => name.includes('running')))

  /** An array is consumed by its last reader; `newest` collects statistics where a batch's are used. */
  const norm = (x, p, name, newest) => {
    const channels = x.shape.map((length, axis) => (axis === 1 ? length : 1))
    const [gamma, beta, mean, variance] = ['gamma', 'beta', 'running_mean', 'running_var'].map((role) => p[`${name}.${role}`])
    if (!newest) {
      const scale = gamma.div(np.sqrt(variance.add(EPS)))
      const shift = beta.sub(mean.mul(scale.ref))
      return x.mul(scale.reshape(channels)).add(shift.reshape(channels))
    }
    const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
    const ofBatch = np.mean(x.ref, axes, { keepdims: true })
    const centered = x.sub(ofBatch.ref)
    const spread = np.mean(np.square(centered.ref), axes, { keepdims: true })
    const moved = (running, now) => running.mul(1 - NEWEST).add(lax.stopGradient(now).reshape([-1]).mul(NEWEST))
    newest[`${name}.running_mean`] = moved(mean, ofBatch)
    newest[`${name}.running_var`] = moved(variance, spread.ref)
    return centered.mul(gamma.reshape(channels).div(np.sqrt(spread.add(EPS)))).add(beta.reshape(channels))
  }
  const conv = (x, p, name) =>
    lax.convGeneralDilated(x, p[`${name}.weight`], [1, 1], [[0, 0], [0, 0]]).add(p[`${name}.bias`].reshape([1, -1, 1, 1]))
  const fc = (x, p, name) => np.dot(x, p[`${name}.weight`].transpose()).add(p[`${name}.bias`])
  const pool = (x) => lax.reduceWindow(x, (w) => np.max(w), [2, 2], [2, 2])
  const logits = (p, x, newest) => {
    x = pool(nn.relu(norm(conv(x, p, 'conv1'), p, 'bn1', newest)))
    x = pool(nn.relu(norm(conv(x, p, 'conv2'), p, 'bn2', newest)))
    return fc(nn.relu(norm(fc(x.reshape([-1, 800]), p, 'fc1'), p, 'bn3', newest)), p, 'fc2')
  }
  const lossOf = (p, q, x, label) => {
    const newest = {}
    const y = logits({ ...p, ...q }, x, newest)
    return [nn.logSoftmax(y, -1).mul(nn.oneHot(label, 10)).sum().mul(-1 / BATCH), newest]
  }
  const forward = jit((p, x) => nn.softmax(logits(p, x), -1))
  const update = jit((p, q, x, label) => {
    const [[loss, newest], gradients] = valueAndGrad(lossOf, { hasAux: true })(kept(p), q, x, label)
    return { loss, newest, p: Object.fromEntries(Object.entries(p).map(([name, a]) => [name, a.sub(gradients[name].mul(0.05))])) }
  })
  const kept = (tree) => Object.fromEntries(Object.entries(tree).map(([name, array]) => [name, array.ref]))
  const pictures = (values, n) => np.array(values, { dtype: np.float32 }).reshape([n, 1, 28, 28])
  return work({
    infer: () => forward(kept({ ...trained, ...stored }), pictures(image, 1)).data(),
    async step() {
      const { loss, newest, p } = update(trained, stored, pictures(images, BATCH), np.array(labels, { dtype: np.int32 }))
      trained = p
      stored = newest
      return (await loss.data())[0]
    },
  })
}

tell(page())
