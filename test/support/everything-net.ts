/** Images of a batch of `EVERYTHING`. */
export const BATCH = 6

/**
 * Dropout, every policy of statistics, a weight that two layers share, residual adds, two losses, a concatenation, what is read under
 * another shape; and enough layers of one size that it pays to compute some of them again.
 */
export const EVERYTHING = `block unit(x) {
  return add(x -> conv(8, 3, pad: 1, bias: false) -> batch_norm(eps: 1e-5) -> relu -> dropout(0.3) -> conv(8, 3, pad: 1) -> batch_norm(stats: cumulative, eps: 1e-5), x) -> leaky_relu(slope: 0.2)
}
net everything {
  input image: f32[3, 12, 12]
  input label: class[4]
  a = image -> conv(8, 3, pad: 1) as first -> batch_norm(eps: 1e-5) as moving -> relu
  b = a -> conv(8, 3, pad: 1) as one -> batch_norm(stats: cumulative, eps: 1e-5) as cumulative -> tanh -> dropout(0.3) as drop
  c = add(b -> conv(8, 3, pad: 1, weights: one) as two -> batch_norm(stats: caffe(fraction: 0.9), eps: 1e-5) as caffe, a) -> relu
  d = c -> unit as unit1 -> unit as unit2 -> unit as unit3 -> unit as unit4
  e = concat(d -> max_pool(2) as pool, d -> avg_pool(2)) -> batch_norm(stats: batch, eps: 1e-5) as own -> sigmoid
  f = e -> conv(16, 3, pad: 1) -> batch_norm(eps: 1e-5) -> silu -> dropout(0.5)
  early = d -> reshape([-1]) -> fc(4)
  logits = f -> fc(12) -> batch_norm(eps: 1e-5) -> relu -> fc(4)
  output prob = softmax(logits)
  loss aside = softmax_loss(early, label)
  loss final = softmax_loss(logits, label)
}
train {
  batch ${BATCH}
  solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 5e-4)
}`
