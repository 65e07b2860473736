/** Text that a page runs before anything of its own (`openPage(folder, { before })`), and each module worker that it starts. */
export const everywhere = (change: string): string =>
  `${change}
  window.Worker = class extends Worker {
    constructor(url, options) {
      const change = URL.createObjectURL(new Blob([${JSON.stringify(change)}], { type: 'text/javascript' }))
      const script = 'import ' + JSON.stringify(change) + '; import ' + JSON.stringify(new URL(url, location.href).href)
      super(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), { ...options, type: 'module' })
    }
  }`

/** A net of a test machine, which has no graphics hardware, takes its adapter for such. */
export const AS_HARDWARE = everywhere(
  `Object.defineProperty(GPUAdapter.prototype, 'info', { get: () => ({ vendor: 'acme', architecture: 'one', device: '', description: '', isFallbackAdapter: false }) })`,
)
