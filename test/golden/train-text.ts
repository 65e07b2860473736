/** A case's solver as the train block writes it. */
export function solverText(solver: Record<string, any>): string {
  const args = [`lr: ${solver['base_lr']}`]
  const put = (name: string, value: unknown): void => { if (value !== undefined && value !== null) args.push(`${name}: ${value}`) }
  const kind = String(solver['type']).toLowerCase()
  if (kind === 'adam' || kind === 'adamw') {
    put('beta1', solver['momentum'])
    put('beta2', solver['momentum2'])
  } else if (kind === 'sgd' || kind === 'nesterov' || kind === 'adadelta') put('momentum', solver['momentum'])
  if (kind === 'rmsprop') put('decay', solver['rms_decay'])
  if (kind !== 'sgd' && kind !== 'nesterov') put('delta', solver['delta'])
  if (solver['weight_decay'] || kind === 'adamw') {
    put('weight_decay', solver['weight_decay'] ?? 0)
    if (kind !== 'adamw') put('regularize', String(solver['regularization_type']).toLowerCase())
  }
  if (solver['clip_gradients'] >= 0) put('clip_gradients', solver['clip_gradients'])
  return `solver ${kind}(${args.join(', ')})`
}

/** A case's learning-rate policy as the train block writes it. */
export function scheduleText(options: Record<string, any>): string {
  switch (options['lr_policy']) {
    case 'step': return `schedule step(gamma: ${options['gamma']}, every: ${options['stepsize']})`
    case 'exp': return `schedule exp(gamma: ${options['gamma']})`
    case 'inv': return `schedule inv(gamma: ${options['gamma']}, power: ${options['power']})`
    case 'multistep': return `schedule multistep(gamma: ${options['gamma']}, at: [${(options['stepvalue'] as number[]).join(', ')}])`
    case 'poly': return `schedule poly(power: ${options['power']}, max_iter: ${options['max_iter']})`
    case 'sigmoid': return `schedule sigmoid(gamma: ${options['gamma']}, step: ${options['stepsize']})`
    default: return 'schedule fixed'
  }
}
