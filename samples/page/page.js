// Served by any server, with what build.mjs puts beside it: see samples/README.md.
import { Learner } from './learner.js'
import { Pad } from './pad.js'

const element = (id) => document.getElementById(id)
const percent = (p) => `${(100 * p).toFixed(p > 0.0995 && p < 0.9995 ? 0 : 1)} %`
const say = (text) => { element('status').textContent = text }
const digits = Array.from({ length: 10 }, (_, digit) => digit)

element('bars').append(...digits.map((digit) => {
  const row = document.createElement('li')
  row.innerHTML = `<b>${digit}</b><span class="track"><span class="bar"></span></span><output></output>`
  return row
}))
for (const digit of digits) element('label').add(new Option(digit, digit))

function show(prob) {
  const best = prob ? digits.reduce((a, b) => (prob[b] > prob[a] ? b : a)) : undefined
  element('answer').textContent = best ?? '?'
  element('certainty').textContent = prob ? `${percent(prob[best])} sure` : 'draw a digit'
  ;[...element('bars').children].forEach((row, digit) => {
    row.classList.toggle('best', digit === best)
    row.querySelector('.bar').style.width = prob ? `${100 * prob[digit]}%` : 0
    row.querySelector('output').textContent = prob ? percent(prob[digit]) : ''
  })
  return best
}

async function start() {
  const learner = await Learner.open(location.href)
  // For the console, where there is more to try: `await digits.predict([picture])`.
  globalThis.digits = learner
  let drawn = false
  let busy = false
  let again = false
  let learning = false

  /** Answers to what is drawn now; strokes that come meanwhile are answered together. */
  async function answer() {
    if (busy) { again = true; return }
    busy = true
    try {
      do {
        again = false
        const picture = pad.picture()
        const best = show(picture && (await learner.predict([picture]))[0])
        if (best !== undefined && !drawn) element('label').value = best
      } while (again)
    } finally {
      busy = false
    }
  }
  const pad = new Pad(element('pad'), () => { void answer() })
  // Until something else is chosen, the choice follows the answer.
  element('label').addEventListener('change', () => { drawn = true })
  element('clear').addEventListener('click', () => {
    drawn = false
    pad.clear()
    void answer()
  })
  const enable = () => {
    element('learn').disabled = learning
    element('undo').disabled = learning || !learner.canUndo
  }
  /** One lesson at a time. */
  const lesson = (work) => async () => {
    if (learning) return
    learning = true
    enable()
    try {
      say(await work())
      await answer()
    } catch (error) {
      say(`${error.name}: ${error.message}`)
      throw error
    } finally {
      learning = false
      enable()
    }
  }
  element('learn').addEventListener('click', lesson(async () => {
    const picture = pad.picture()
    if (!picture) return 'draw something first'
    const digit = Number(element('label').value)
    say('learning')
    const { before, after, share } = await learner.learn(picture, digit)
    const result = `a ${digit}: ${percent(before)} before, ${percent(after)} now`
    if (share >= 0.5) return before === after ? `known already, and kept as an example: ${percent(before)} a ${digit}` : `learned: ${result}`
    return `learned ${share > 0 ? 'a little' : 'nothing'}, since more would cost other digits: ${result}. If you are right, draw another and say so again`
  }))
  element('undo').addEventListener('click', lesson(async () => {
    await learner.undo()
    return 'the last lesson is taken back'
  }))
  enable()
  await answer()
  say(`running on ${learner.device}${learner.notes.length > 0 ? ` (${learner.notes.join('; ')})` : ''}`)
}

start().catch((error) => {
  say(`${error.name}: ${error.message}`)
  throw error
})
