/** Layers between an input and an output whose gradient is given, as `t`. */
export const weighedNet = (input: readonly number[], layers: string, output: readonly number[]): string => `
net one {
  input x: f32[${input.join(', ')}]
  input t: f32[${output.join(', ')}]
  y = x -> ${layers}
  loss = sum(mul(y, t))
  output out = relu(y)
}`
