import { ROW_GROUPS } from '../../../bundle/format.ts'
import { STEP_FIELDS } from '../../../bundle/step-uniform.ts'

const READ = 'step.'

/** The uniform that the runtime hands in with each dispatch, up to the last field that a text reads. */
export function stepOf(text: string): string[] {
  let last = -1
  for (let at = text.indexOf(READ); at >= 0; at = text.indexOf(READ, at + READ.length))
    last = Math.max(last, STEP_FIELDS.findLastIndex(({ name }) => text.startsWith(name, at + READ.length)))
  if (last < 0) return []
  const fields = STEP_FIELDS.slice(0, last + 1).map(({ name, type }) => `${name}: ${type}`)
  return [`struct Step { ${fields.join(', ')} }`, '@group(0) @binding(0) var<uniform> step: Step;']
}

/** Functions that a text may need, by the operation that needs them. */
export const FUNCTIONS: Readonly<Record<string, string>> = {
  // x P(x^2) / Q(x^2) on [-4, 4], beyond which erf is 1 in float32: the rational approximation that Eigen uses, 2e-7.
  erf: `fn erf(v: f32) -> f32 {
  let x = clamp(v, -4.0, 4.0);
  let y = x * x;
  let p = ((((((-2.72614225801306e-10 * y + 2.77068142495902e-08) * y - 2.10102402082508e-06) * y - 5.69250639462346e-05) * y
    - 7.34990630326855e-04) * y - 2.95459980854025e-03) * y - 1.60960333262415e-02);
  let q = (((-1.45660718464996e-05 * y - 2.13374055278905e-04) * y - 1.68282697438203e-03) * y - 7.37332916720468e-03) * y - 1.42647391514189e-02;
  return x * p / q;
}`,
  // Some drivers compute tanh from exp(2x), which overflows; near 0 the series keeps the digits that 1 - e loses.
  tanh: `fn tanh_safe(v: f32) -> f32 {
  let x = clamp(v, -10.0, 10.0);
  let y = x * x;
  let e = exp(2.0 * x);
  return select((e - 1.0) / (e + 1.0), x * (1.0 - y * (0.33333333 - y * (0.13333333 - y * 0.053968254))), abs(x) < 0.25);
}`,
  // The batch has no highest bit, which no compiler knows: what it is taken with is the same bits, and is not looked through.
  rounded: 'fn rounded(v: f32) -> f32 { return bitcast<f32>(bitcast<u32>(v) ^ (step.n >> 31u)); }',
  rounded4: 'fn rounded4(v: vec4<f32>) -> vec4<f32> { return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) ^ vec4<u32>(step.n >> 31u)); }',
  // Twin of targets/interpreter/random.ts.
  random: `fn mix32(v: u32) -> u32 {
  var x = v;
  x ^= x >> 16u;
  x *= 0x85ebca6bu;
  x ^= x >> 13u;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16u);
}
fn random(key: u32, at: i32) -> f32 {
  var x = mix32(step.seed ^ 0x9e3779b9u);
  x = mix32(x + step.step * 0x85ebca6bu);
  x = mix32(x ^ key);
  x = mix32(x + u32(at) * 0x9e3779b1u);
  return f32(x >> 8u) / 16777216.0;
}`,
}

/** The number of an invocation. Workgroups lie in rows of ROW_GROUPS, since a dimension of a dispatch holds at most 65535. */
export const invocationId = (workgroup: number): string => `i32(global.y * ${ROW_GROUPS * workgroup}u + global.x)`

/** The number of a workgroup, in kernels whose grid counts workgroups. */
export const WORKGROUP_ID = `i32(group.y * ${ROW_GROUPS}u + group.x)`
