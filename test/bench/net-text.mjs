import { EPS, NEWEST } from './nets.mjs'
import { SOLVER } from './workloads.mjs'

/**
 * A workload as a .net file. Every layer is named, and so is its value: a conv that is `conv1` in nets.mjs owns `conv1.weight`
 * in the bundle. W4b's loss is sum(y * r) with r an input of its own.
 */
export function toNetText({ net, mode, batch }) {
  const lines = [`net ${net.name} {`, `  input image: f32[${net.inputShape.join(', ')}]`]
  if (net.classes) lines.push(`  input label: class[${net.classes}]`)
  if (mode === 'gradients') lines.push(`  input upstream: f32[${net.shapes.get(net.output).join(', ')}]`)
  lines.push('')
  for (const layer of net.layers) lines.push(`  ${layer.name} = ${callOf(layer)}`)
  lines.push('')
  if (net.softmax) {
    lines.push(`  output prob = softmax(${net.output})`, `  loss = softmax_loss(${net.output}, label)`)
  } else {
    lines.push(`  output out = ${net.output}`)
    if (mode === 'gradients') lines.push(`  loss = sum(mul(${net.output}, upstream))`)
  }
  lines.push('}', '')
  if (mode === 'train') {
    lines.push(
      'train {',
      `  batch    ${batch}`,
      '  steps    1000000',
      `  solver   sgd(lr: ${SOLVER.rate}, momentum: ${SOLVER.momentum})`,
      '  schedule fixed',
      '}',
      '',
    )
  }
  return lines.join('\n')
}

function callOf({ op, name, inputs, out, kernel, stride, pad, bias, round }) {
  const window = [kernel, `stride: ${stride}`, ...(pad ? [`pad: ${pad}`] : [])]
  const calls = {
    conv: () => `conv(${[out, ...window, ...(bias ? [] : ['bias: false'])].join(', ')})`,
    batchNorm: () => `batch_norm(eps: ${EPS}, stats: moving(newest: ${NEWEST}))`,
    relu: () => 'relu',
    maxPool: () => `max_pool(${[...window, `round: ${round}`].join(', ')})`,
    avgPool: () => `avg_pool(${[...window, `round: ${round}`, 'count: valid'].join(', ')})`,
    globalAvgPool: () => 'global_avg_pool',
    fc: () => `fc(${out})`,
  }
  if (op === 'add') return `add(${inputs.join(', ')})`
  return `${inputs[0]} -> ${calls[op]()} as ${name}`
}
