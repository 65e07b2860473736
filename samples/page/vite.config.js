import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))

export default defineConfig({
  // Built, it runs in any folder of any server.
  base: './',
  build: { outDir: `${root}/out/page`, emptyOutDir: true },
  // The package as this clone built it; where fusenet is installed, neither line is needed.
  resolve: { alias: { 'fusenet/runtime': `${root}/dist/runtime/index.js` } },
  server: { fs: { allow: [root] } },
})
