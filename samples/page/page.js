// The page: what is drawn or seen is answered at once, and what the visitor says it is gets learned. Served by Vite or, built, by any
// server: see samples/README.md.
import { Answers, paint, percent } from './answers.js'
import { Camera } from './camera.js'
import { openLearner } from './open-learner.js'
import { Sheet } from './sheet.js'

const element = (id) => document.getElementById(id)
/** So many drawings make a class of its own reliable. */
const ENOUGH = 5
/** Pictures of a camera's lesson, and how long they are apart, in ms. */
const SHOTS = 8
const PAUSE = 180

const answers = new Answers(element)
const sheet = new Sheet(element('sheet'), {
  changed: drawn,
  said: (text) => {
    element('spoken').textContent = text
  },
})
const camera = new Camera(element('video'))
let learner
let kept
/** What the visitor says it is; until they do, the choice follows the answer. */
let chosen
let isChosen = false
let isBusy = false

function say(text, isWrong = false) {
  element('status').textContent = text
  element('status').classList.toggle('wrong', isWrong)
}

const source = () => (camera.isOn ? camera : sheet)
const hint = () => (camera.isOn ? 'hold something in front of a plain wall or a sheet of paper' : 'draw a digit')
const classOf = (label) => learner.classes.find((each) => each.label === label)

function drawn(isWhole) {
  element('invitation').hidden = !sheet.isEmpty
  if (sheet.isEmpty && !isKeptChoice()) isChosen = false
  void answer(isWhole)
}

/** Who teaches a class of their own draws it several times. */
const isKeptChoice = () => learner && isChosen && classOf(chosen)?.own && classOf(chosen).count < ENOUGH

let answering = false
let again = false
let isToSpeak = false
/** Answers to what is drawn now; what comes meanwhile is answered together. */
async function answer(speak = false) {
  if (!learner) return
  isToSpeak ||= speak
  again = answering
  if (answering) return
  answering = true
  try {
    do {
      again = false
      const picture = source().picture()
      const best = answers.show(picture && (await learner.predict([picture]))[0], picture, hint())
      if (!isChosen) choose(best)
      element('teach').disabled = isBusy || !picture || chosen === undefined
    } while (again)
    if (isToSpeak) answers.speak()
    isToSpeak = false
  } catch (error) {
    say(error.message, true)
    throw error
  } finally {
    answering = false
  }
}

function choose(label) {
  if (label === chosen) return
  chosen = label
  for (const chip of element('chips').querySelectorAll('input')) chip.checked = Number(chip.value) === label
  showChosen()
}

/** Everything that depends on the classes, the lessons and the choice. */
function show() {
  const { classes } = learner
  answers.classes = classes
  element('chips').replaceChildren(...classes.map(({ label, name, own, count }) => {
    const chip = document.createElement('label')
    const radio = Object.assign(document.createElement('input'), { type: 'radio', name: 'class', value: label, checked: label === chosen })
    radio.addEventListener('change', () => {
      isChosen = true
      choose(label)
      void answer()
    })
    const text = document.createElement('span')
    text.append(name)
    if (own) text.append(Object.assign(document.createElement('small'), { textContent: String(count), title: `${count} taught` }))
    chip.append(radio, text)
    return chip
  }))
  const add = Object.assign(document.createElement('button'), {
    type: 'button',
    id: 'new',
    textContent: '+ new class',
    disabled: learner.spare === 0,
  })
  add.addEventListener('click', () => {
    element('naming').hidden = false
    element('name').focus()
  })
  element('chips').append(add)
  if (chosen !== undefined && !classOf(chosen)) {
    chosen = undefined
    isChosen = false
  }
  showChosen()
  const taught = classes.reduce((sum, { count }) => sum + count, 0)
  const own = classes.filter((each) => each.own).map(({ name }) => name)
  element('kept').textContent = !learner.isTaught ? 'It is as it came. What you teach is kept in this browser.'
    : `You taught it ${taught} ${taught === 1 ? 'picture' : 'pictures'}${
      own.length > 0 ? `; classes of your own: ${own.join(', ')}` : ''
    }. ${kept.note}`
}

function showChosen() {
  const mine = chosen === undefined ? undefined : classOf(chosen)
  element('teach').textContent = mine ? `Teach: it is ${mine.own ? '' : 'a '}${mine.name}` : 'Teach'
  element('teach').disabled = isBusy || !mine || !source().picture()
  element('undo').disabled = isBusy || !learner.canUndo
  element('forget').hidden = !mine?.own
  element('forget').textContent = `Forget ${mine?.name}`
  for (const id of ['download', 'upload', 'forget']) element(id).disabled = isBusy
  element('reset').disabled = isBusy || !learner.isTaught
  const pictures = mine ? learner.examplesOf(mine.label) : []
  element('examples').hidden = pictures.length === 0
  element('examples-title').textContent = mine ? `Your pictures of ${mine.name}: ${pictures.length}` : ''
  element('thumbnails').replaceChildren(
    ...pictures.slice(-24).map((picture, i) => {
      const item = document.createElement('li')
      const canvas = Object.assign(document.createElement('canvas'), { width: 28, height: 28 })
      canvas.setAttribute('role', 'img')
      canvas.setAttribute('aria-label', `${mine.name}, picture ${i + 1}`)
      paint(canvas, picture)
      item.append(canvas)
      return item
    }),
  )
}

/** Work on the net, one at a time; `work` gives what is said afterwards. `changes`: whether what is kept changes by it. */
async function busy(work, { changes = true } = {}) {
  if (isBusy) return
  isBusy = true
  showChosen()
  try {
    const said = await work()
    show()
    if (said) say(said)
    if (changes) await kept.save(learner)
    show()
  } catch (error) {
    say(error.message, true)
    // What people choose may be wrong; all else is ours.
    if (!/^(Error|InputError|BundleError)$/.test(error.name)) console.error(error)
  } finally {
    isBusy = false
    element('learning').hidden = true
    showChosen()
    await answer(true)
  }
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms))

/** The drawing, or several pictures of the camera. */
async function pictures() {
  if (!camera.isOn) return [sheet.picture()].filter(Boolean)
  const shots = []
  for (let i = 0; i < SHOTS; i++) {
    say(`Taking pictures: move it a little (${i + 1} of ${SHOTS})`)
    const picture = camera.picture()
    if (picture) shots.push(picture)
    await wait(PAUSE)
  }
  return shots
}

async function teach() {
  const mine = classOf(chosen)
  const shown = await pictures()
  if (shown.length === 0)
    return camera.isOn ? 'The camera sees nothing that stands out: hold it in front of something plain' : 'Draw something first'
  say('Learning')
  element('learning').hidden = false
  const { before, after, share } = await learner.teach(shown, mine.label, (done) => {
    element('learning').value = done
  })
  if (!camera.isOn) sheet.finish()
  const count = learner.examplesOf(mine.label).length
  const more = mine.own && count < ENOUGH ? ` Draw it again, a little differently: ${count} of ${ENOUGH}.` : ''
  const change = `${mine.name}: ${percent(before)} before, ${percent(after)} now.`
  if (share === 0) return `Not learned, since it would cost other answers. ${change} If you are right, teach it another one.`
  if (share < 0.5) return `Learned a little; more would cost other answers. ${change} If you are right, teach it another one.`
  return before === after ? `It knew that already, and keeps it as an example.${more}` : `Learned. ${change}${more}`
}

function addClass(event) {
  event.preventDefault()
  try {
    const label = learner.addClass(element('name').value)
    element('name').value = ''
    element('naming').hidden = true
    show()
    isChosen = true
    choose(label)
    say(
      `${classOf(label).name} is a class now. ${
        camera.isOn ? 'Hold it in front of the camera' : sheet.isEmpty ? 'Draw it' : 'If it is what you drew'
      }, then choose Teach.`,
    )
    void answer()
    void kept.save(learner)
    ;(element('teach').disabled && !camera.isOn ? element('sheet') : element('teach')).focus()
  } catch (error) {
    say(error.message, true)
    element('name').focus()
  }
}

let looking = 0
async function look(useCamera) {
  element('from-sheet').setAttribute('aria-pressed', String(!useCamera))
  element('from-camera').setAttribute('aria-pressed', String(useCamera))
  element('sheet-frame').hidden = useCamera
  element('camera-frame').hidden = !useCamera
  clearInterval(looking)
  if (!useCamera) {
    camera.stop()
    return answer()
  }
  element('camera-note').textContent = 'The camera is being started'
  try {
    await camera.start()
    element('camera-note').textContent = ''
    element('turn').hidden = !(await camera.hasOther())
    // Often enough to feel live, and a phone stays cool.
    looking = setInterval(() => {
      if (!document.hidden && !isBusy) void answer()
    }, 150)
  } catch (error) {
    element('camera-note').textContent = error.message
  }
}

async function start() {
  const opened = await openLearner((done) => {
    element('loading').value = done
  })
  ;({ learner, kept } = opened)
  // For the console, where there is more to try: `await learner.predict([picture])`.
  globalThis.learner = learner
  element('loading').hidden = true
  element('device').textContent = opened.device
  element('clear').addEventListener('click', () => sheet.clear())
  element('teach').addEventListener('click', () => void busy(teach))
  element('undo').addEventListener('click', () => void busy(async () => (await learner.undo(), 'The last lesson is taken back.')))
  element('forget').addEventListener('click', () =>
    void busy(async () => {
      const { name } = classOf(chosen)
      await learner.removeClass(chosen)
      return `${name} is forgotten. Undo brings it back.`
    }))
  element('naming').addEventListener('submit', addClass)
  element('naming-off').addEventListener('click', () => {
    element('naming').hidden = true
    element('new').focus()
  })
  element('from-sheet').addEventListener('click', () => void look(false))
  element('from-camera').addEventListener('click', () => void look(true))
  element('turn').addEventListener('click', () =>
    void camera.turn().catch((error) => {
      element('camera-note').textContent = error.message
    }))
  element('download').addEventListener(
    'click',
    () =>
      void busy(
        async () => (await kept.download(learner),
          'Downloaded: this page opens the file on other devices too; unpacked it is a bundle for the command fusenet.'),
        { changes: false },
      ),
  )
  element('upload').addEventListener('click', () => element('file').click())
  element('file').addEventListener('change', () => {
    const [file] = element('file').files
    element('file').value = ''
    if (file) void busy(async () => (await kept.open(learner, file), `${file.name} is opened. Undo brings back what was here.`))
  })
  element('reset').addEventListener('click', () => element('sure').showModal())
  element('sure').addEventListener('close', () => {
    if (element('sure').returnValue !== 'yes') return
    void busy(async () => (await learner.reset(), sheet.clear(), 'It is as it came. Undo brings back what you taught it.'))
  })
  show()
  say(opened.note ?? (learner.isTaught ? 'It still knows what you taught it.' : 'Draw something, then say what it is.'))
  await answer()
}

start().catch((error) => {
  element('loading').hidden = true
  element('certainty').textContent = 'the net cannot be loaded'
  say(`${error.name === 'Error' ? '' : `${error.name}: `}${error.message}`, true)
  console.error(error)
})
