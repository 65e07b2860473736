import type { TorchSettings } from './settings.ts'

/** README.md of an exported folder. */
export function readmeOf({ name, inputs, outputs, train }: TorchSettings): string {
  const data = inputs.map(({ argument }) => argument)
  return `# ${name}

The net ${name} in PyTorch, written by fusenet (docs/torch.md there tells more). PyTorch 1.13 or later is all that is needed; \`train.py\` wants NumPy, too, and Pillow where data are pictures.

| file | holds |
| --- | --- |
| \`net.py\` | the module \`Net\`; it needs torch alone |
| \`weights.safetensors\` | its state_dict |
| \`weights.py\` | reads and writes such files |
| \`settings.json\` | what training must know beside: inputs, losses, multipliers, first values, solver |
${train ? '| `train.py` | trains it as fusenet does; the other Python files are its parts |\n' : ''}
\`\`\`python
from net import Net
from weights import load, save

net = Net()
net.load_state_dict(load("weights.safetensors"))
net.eval()
results = net(${data.join(', ')})  # ${outputs.map((output) => output.name).join(', ')}, by name

save(net.state_dict(), "trained.safetensors")  # for fusenet: --weights trained.safetensors
\`\`\`
`
}
