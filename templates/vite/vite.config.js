import { defineConfig } from 'vite'
import fusenet from 'fusenet/vite'

export default defineConfig({
  plugins: [fusenet()],
})
