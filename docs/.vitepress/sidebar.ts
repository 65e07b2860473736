/** The order in which the site is read. A page that is not here is found by nobody: the test of the pages asks for each. */
export const sidebar = [
  {
    text: 'Begin',
    items: [
      { text: 'A first hour', link: '/first-hour' },
      { text: 'Install', link: '/install' },
      { text: 'The command', link: '/command' },
    ],
  },
  {
    text: 'The language',
    items: [
      { text: 'The language', link: '/language/' },
      { text: 'Looking at a net', link: '/language/tools' },
      { text: 'All calls', link: '/language/calls' },
      { text: 'Convolution', link: '/language/convolution' },
      { text: 'Pooling and size', link: '/language/pooling' },
      { text: 'Normalization', link: '/language/normalization' },
      { text: 'Statistics', link: '/language/statistics' },
      { text: 'Activations', link: '/language/activations' },
      { text: 'Arithmetic', link: '/language/arithmetic' },
      { text: 'Joining and shape', link: '/language/joining' },
      { text: 'Reductions', link: '/language/reductions' },
      { text: 'Losses and metrics', link: '/language/losses' },
      { text: 'Fillers', link: '/language/fillers' },
      { text: 'Solvers', link: '/language/solvers' },
      { text: 'Schedules', link: '/language/schedules' },
      { text: 'Augmentations', link: '/language/augmentations' },
      { text: 'Datasets', link: '/language/datasets' },
      { text: 'Names elsewhere', link: '/language/elsewhere' },
    ],
  },
  {
    text: 'Coming from',
    items: [
      { text: 'Bring your net', link: '/import' },
      { text: 'ONNX: operators and cases', link: '/onnx-operators' },
      { text: 'PyTorch', link: '/from/pytorch' },
      { text: 'Caffe', link: '/from/caffe' },
      { text: 'Darknet', link: '/from/darknet' },
      { text: 'TensorFlow.js', link: '/from/tfjs' },
      { text: 'Take your net with you', link: '/export' },
      { text: 'PyTorch: the same net', link: '/torch' },
    ],
  },
  {
    text: 'Data and training',
    items: [
      { text: 'Data', link: '/data' },
      { text: 'Losses of a data set', link: '/losses' },
      { text: 'Fine-tuning', link: '/fine-tuning' },
      { text: 'Stop and go on', link: '/training' },
      { text: 'Many machines', link: '/many-machines' },
    ],
  },
  {
    text: 'In pages and programs',
    items: [
      { text: 'In a page', link: '/page' },
      { text: 'Vite and other bundlers', link: '/vite' },
      { text: 'One ES module', link: '/esm' },
      { text: 'Types', link: '/types' },
      { text: 'Hosting', link: '/hosting' },
      { text: 'In Node', link: '/node' },
      { text: 'The runtime', link: '/runtime' },
      { text: 'The library', link: '/library/' },
    ],
  },
  {
    text: 'Speed',
    items: [
      { text: 'How fusion works', link: '/fusion' },
      { text: 'Memory', link: '/memory' },
      { text: 'What it costs', link: '/bench' },
      { text: 'Tuning', link: '/tune' },
      { text: 'Devices', link: '/devices' },
      { text: 'Numbers', link: '/numbers' },
    ],
  },
  {
    text: 'More',
    items: [
      { text: 'The bundle', link: '/bundle' },
      { text: 'What it does not do', link: '/limits' },
      { text: 'Questions', link: '/faq' },
    ],
  },
]
