/** A call of the language: arguments that are not given are left out. */
export function callText(name: string, args: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(args).filter(([, value]) => value !== undefined && value !== null)
  return given.length > 0
    ? `${name}(${given.map(([key, value]) => `${key}: ${Array.isArray(value) ? `[${value.join(', ')}]` : value}`).join(', ')})` : name
}

/** A case's solver as the train block writes it. */
export function solverText(solver: Record<string, any>): string {
  const kind = String(solver['type']).toLowerCase()
  const adaptive = kind === 'adam' || kind === 'adamw'
  const decays = solver['weight_decay'] || kind === 'adamw'
  return `solver ${
    callText(kind, {
      lr: solver['base_lr'],
      ...(adaptive ? { beta1: solver['momentum'], beta2: solver['momentum2'] }
        : ['sgd', 'nesterov', 'adadelta'].includes(kind) ? { momentum: solver['momentum'] } : {}),
      ...(kind === 'rmsprop' && { decay: solver['rms_decay'] }),
      ...(kind !== 'sgd' && kind !== 'nesterov' && { delta: solver['delta'] }),
      ...(decays && { weight_decay: solver['weight_decay'] ?? 0 }),
      ...(decays && kind !== 'adamw' && { regularize: solver['regularization_type']?.toLowerCase() }),
      // Caffe's negative bound is none.
      ...(solver['clip_gradients'] >= 0 && { clip_gradients: solver['clip_gradients'] }),
    })
  }`
}

/** A case's learning-rate policy as the train block writes it. */
export function scheduleText(options: Record<string, any>): string {
  const { lr_policy: policy, gamma, power } = options
  switch (policy) {
    case 'step':
      return `schedule ${callText(policy, { gamma, every: options['stepsize'] })}`
    case 'multistep':
      return `schedule ${callText(policy, { gamma, at: options['stepvalue'] ?? [] })}`
    case 'poly':
      return `schedule ${callText(policy, { power, max_iter: options['max_iter'] })}`
    case 'sigmoid':
      return `schedule ${callText(policy, { gamma, step: options['stepsize'] })}`
    case 'exp':
    case 'inv':
      return `schedule ${callText(policy, { gamma, power })}`
    case 'fixed':
    case undefined:
      return 'schedule fixed'
    default:
      throw new Error(`what is the policy ${policy} in the language?`)
  }
}

/** A net whose learning rate follows a policy. */
export const ratesText = (options: Record<string, any>): string =>
  `net rates { input x: f32[1] loss = sum(fc(x, 1)) } train { solver sgd(lr: ${options['base_lr']}) ${scheduleText(options)} }`
