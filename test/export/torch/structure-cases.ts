import type { TorchCase } from './cases.ts'

/** Names that mean something in Python or PyTorch, and structures that need care where they become classes, loops and variables. */
export const STRUCTURE_CASES: readonly TorchCase[] = [
  {
    name: 'names of Python and PyTorch',
    batch: 3,
    text: `
block loop(x, self, lambda: 3) { return x -> conv(self, lambda, pad: 1) as forward -> relu }
block value_error(x) { return x -> loop(2) as train -> loop(4, lambda: 3) as eval -> fc(4) as weight }
block module(i, range) { return i -> fc(range) as range -> tanh }
block none(x) { return x -> module(2) as i -> fc(3) }
block f(x) { return x -> none as super -> none as nn }
net class {
  input self: f32[3, 6, 6]  // a '''comment''' with """quotes"""  \\ and a # sign
  input lambda: f32[4]
  input label: class[4]
  torch = self -> loop(3) as train -> value_error as parameters -> fc(4) as forward
  F = torch -> batch_norm as type -> fc(4) as to
  nn = add(F, lambda) -> fc(4) as __class__ -> dropout(0.3) as moment
  results = nn -> f as objective
  largest = max(nn, torch)
  i = largest -> module(4) as m0 -> module(4) as m1 -> module(4) as m2 -> module(4) as m3
  output def = softmax(i)
  output results = results -> fc(2) as _modules
  output None = i -> fc(3) as zero_grad
  loss while = softmax_loss(add(i, largest) -> fc(4) as state_dict, label)
  loss yield = sum(silu(results)) 
  metric elif = accuracy(i, label)
}
train { solver sgd(lr: 0) }
`,
  },
  {
    name: 'blocks that share, pass on, give back what they were given, and give nothing that is read',
    batch: 3,
    text: `
block same(x) { return x }
block first(x) { return x -> conv(4, 3, pad: 1) as own }
block second(x, other) { return add(x -> conv(4, 3, pad: 1, weights: other), other) -> tanh }
block idle(x) { return x -> conv(2, 1) -> batch_norm }
block two(x, a, b) { main = x -> conv(a, 1)
  return if a == b { add(main, x) } else { main } }
net structures {
  input x: f32[4, 6, 6]
  input label: class[3]
  one = x -> first as one -> same
  // The layer that made a value, in another block.
  y = x -> second(one) as two -> second(one) as three
  z = y -> idle
  for i in 0..4 { y = y -> two(4, 4) as deep{i} }
  for a, i in [5, 6, 7, 8] { y = y -> two(a, 0) as wide{i} }
  for i in 0..3 { x = x -> two(4 + i, 0) as n{i} }
  w = concat(x, y)
  x = x -> tanh
  logits = w -> global_avg_pool -> fc(3)
  output prob = softmax(logits)
  output again = prob
  output given = label_free
  loss = softmax_loss(logits, label)
}`.replace('  output given = label_free\n', ''),
  },
  {
    name: 'labels that an output needs, losses without outputs, one input that is an output',
    batch: 3,
    text: `
block head(x, label, classes) { return softmax_loss(x -> fc(classes), label) }
net heads {
  input a: f32[4]
  input b: f32[4]
  input label: class[3]
  input other: class[2]
  y = add(a, b) -> fc(5) -> relu
  output same = a
  output y = y
  loss one = y -> head(label, 3) as one
  loss two = mul(0.5, y -> head(other, 2) as two)
  y = y -> tanh
  output later = y -> fc(2)
  loss three = squared_loss(y, y -> fc(5))
  metric right = accuracy(y -> fc(3), label)
}`,
  },
  {
    name: 'no outputs',
    batch: 3,
    text: `net no_outputs {\n  input a: f32[4]\n  input label: class[3]\n  loss = softmax_loss(a -> fc(3), label)\n}`,
  },
]
