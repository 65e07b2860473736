/** The script of a worker that nets run in: `open(url, { worker: true })` starts it, or a page's own worker imports it. */
import { serve } from './remote/serve.ts'

serve()
