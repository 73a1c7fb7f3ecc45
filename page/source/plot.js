// The two plots: how many peers there are, and the round trips, over the last minutes. Drawn anew each second.

import { svg } from './dom.js'
import { HISTORY_MS, PING_EVERY_MS } from './peers.js'
import { line, magnitudeScale, magnitudeTicks, scale, steps, wholeTicks } from './scale.js'

const SIDE = { left: 54, right: 10, top: 10, bottom: 24 }
const MINUTE_MS = 60_000
const SHORTEST_MS = MINUTE_MS // the plot grows from one minute to all that is kept
const SHORTEST_TRIP_MS = 0.1 // browsers' clocks tell no less
const GAP_MS = 3 * PING_EVERY_MS // longer, and a line is broken

// samples: [{ at, here, connected }], oldest first
export function plotPeers (figure, samples, now) {
  const counts = wholeTicks(Math.max(0, ...samples.map(({ here }) => here)))
  const frame = new Frame(figure, samples[0]?.at ?? now, now, counts, { scale, format: String })
  const line = value => steps(samples.map(sample => frame.point(sample.at, sample[value])))
  if (samples.length > 1) {
    const end = `V${frame.y(0)}H${frame.x(samples[0].at)}Z`
    frame.add(svg('path.area', { d: line('connected') + end }))
    frame.add(svg('path.heard', { d: line('here') }))
    frame.add(svg('path.connected', { d: line('connected') }))
  }
  frame.draw()
}

// By magnitudes, so that one that took seconds does not flatten the others.
// peers: [{ id, colour, roundTrips: [{ at, ms }] }]
export function plotRoundTrips (figure, peers, now, chosen) {
  const since = now - HISTORY_MS
  const shown = peers.map(peer => ({ ...peer, roundTrips: peer.roundTrips.filter(({ at }) => at >= since) }))
  const all = shown.flatMap(({ roundTrips }) => roundTrips)
  const oldest = Math.min(now, ...all.map(({ at }) => at))
  const times = all.map(({ ms }) => Math.max(ms, SHORTEST_TRIP_MS))
  const values = times.length === 0 ? magnitudeTicks(1, 1000) : magnitudeTicks(Math.min(...times), Math.max(...times))
  const frame = new Frame(figure, oldest, now, values, { scale: magnitudeScale, format: value => value < 1000 ? `${value} ms` : `${value / 1000} s` })
  for (const { id, colour, roundTrips } of shown) {
    const points = roundTrips.map(({ at, ms }) => frame.point(at, ms))
    const weight = chosen == null || chosen === id ? '' : '.faint'
    frame.add(svg(`path.round-trip.colour-${colour}${weight}`, { d: line(points, frame.width(GAP_MS)) }))
    if (points.length > 0) {
      const { x, y } = points.at(-1)
      frame.add(svg(`circle.last.colour-${colour}${weight}`, { cx: x, cy: y, r: 3 }))
    }
  }
  frame.draw()
}

class Frame {
  constructor (figure, oldest, now, values, { scale: scaleUp, format }) {
    this.svg = figure.querySelector('svg')
    const { clientWidth, clientHeight } = this.svg
    this.size = { width: clientWidth || 600, height: clientHeight || 180 }
    this.from = Math.max(now - HISTORY_MS, Math.min(oldest, now - SHORTEST_MS))
    this.now = now
    const inner = { width: this.size.width - SIDE.left - SIDE.right, height: this.size.height - SIDE.top - SIDE.bottom }
    const across = scale(this.from, now, inner.width)
    const up = scaleUp(values[0], values.at(-1), inner.height)
    this.x = at => SIDE.left + across(Math.max(at, this.from))
    this.y = value => SIDE.top + inner.height - up(value)
    this.width = ms => across(this.from + ms)
    this.parts = [...values.flatMap(value => this.#row(value, format)), ...this.#minutes()]
  }

  point (at, value) {
    return { x: this.x(at), y: this.y(value) }
  }

  add (part) {
    this.parts.push(part)
  }

  draw () {
    this.svg.setAttribute('viewBox', `0 0 ${this.size.width} ${this.size.height}`)
    this.svg.replaceChildren(...this.parts)
  }

  #row (value, format) {
    const y = this.y(value)
    return [
      svg('line.grid', { x1: SIDE.left, x2: this.size.width - SIDE.right, y1: y, y2: y }),
      label(format(value), { x: SIDE.left - 8, y: y + 4, 'text-anchor': 'end' })
    ]
  }

  #minutes () {
    const span = this.now - this.from
    const step = span <= 1.5 * MINUTE_MS ? MINUTE_MS / 3 : MINUTE_MS
    const found = [label('now', { x: this.x(this.now), y: this.size.height - 6, 'text-anchor': 'end' })]
    for (let back = step; back <= span + 1; back += step) {
      const text = step < MINUTE_MS ? `−${Math.round(back / 1000)} s` : `−${back / MINUTE_MS} min`
      const x = this.x(this.now - back)
      found.push(label(text, { x, y: this.size.height - 6, 'text-anchor': x < SIDE.left + 20 ? 'start' : 'middle' }))
    }
    return found
  }
}

function label (text, attributes) {
  return svg('text.label', attributes, text)
}
