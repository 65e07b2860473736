/**
 * Names that no variable may take: WGSL's keywords and reserved words (WGSL section 16.1), the built-in functions and types
 * that printed kernels use, and the kernels' own names. Longer names with an underscore cannot clash with later ones.
 */
export const RESERVED_WORDS: readonly string[] = `
alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop
override requires return struct switch true var while
NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch class co_await
co_return co_yield coherent column_major common compile compile_fragment concept const_cast consteval constexpr constinit
crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends extern external
fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import inline instanceof
interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace new nil noexcept
noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset partial pass
patch pixelfragment precise precision premerge priv protected pub public readonly ref regardless register
reinterpret_cast require resource restrict self set shared sizeof smooth snorm static static_assert static_cast std
subroutine super target template this thread_local throw trait try type typedef typeid typename typeof union unless unorm
unsafe unsized use using varying virtual volatile wgsl where with writeonly yield
abs array atomic bool clamp dot erf exp f16 f32 floor fma i32 log max min pow ptr random rounded rounded4 select sign sqrt tanh u32 vec2 vec3
vec4 mat2x2 mat3x3 mat4x4 sampler storage uniform workgroup function private read write read_write
global group id in local local_index main mix32 n out step subgroup_size subgroupAdd subgroupMax tanh_safe Step
`.trim().split(/\s+/)
