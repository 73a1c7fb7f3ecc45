// Where things go in a plot. Pure.

// Round numbers from 0 up to at least `highest`: [0, 1, 2], [0, 5, 10, 15], …; at most five.
export function ticks (highest) {
  const power = 10 ** Math.floor(Math.log10(highest / 4))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size * 4 >= highest)
  const found = [0]
  while (found.at(-1) < highest) {
    found.push(exact(found.length * step))
  }
  return found
}

// For whole things: no step below one.
export function wholeTicks (highest) {
  return highest <= 4 ? Array.from({ length: Math.max(highest, 2) + 1 }, (_, n) => n) : ticks(highest)
}

// For what spans magnitudes: [1, 2, 5, 10], [20, 50, 100], …, or the powers of ten alone if those would be more than five.
export function magnitudeTicks (lowest, highest) {
  const from = Math.floor(Math.log10(lowest))
  const to = Math.max(Math.ceil(Math.log10(highest)), from + 1)
  const powers = Array.from({ length: to - from + 1 }, (_, n) => exact(10 ** (from + n)))
  const all = powers.flatMap(power => [1, 2, 5].map(factor => exact(factor * power))).filter(value => value <= powers.at(-1))
  const begin = all.findLastIndex(value => value <= lowest)
  const near = all.slice(begin, Math.max(all.findIndex(value => value >= highest), begin + 1) + 1)
  return near.length <= 5 ? near : powers
}

// The numbers of [from, to] onto [0, length].
export function scale (from, to, length) {
  return value => to === from ? 0 : ((value - from) / (to - from)) * length
}

// The same, each magnitude as long as the next.
export function magnitudeScale (from, to, length) {
  const along = scale(Math.log10(from), Math.log10(to), length)
  return value => along(Math.log10(Math.max(value, from)))
}

// An SVG path through points [{ x, y }]; it is broken where more than `gap` lies between two.
export function line (points, gap = Infinity) {
  return points.map(({ x, y }, n) => {
    const begins = n === 0 || x - points[n - 1].x > gap
    return `${begins ? 'M' : 'L'}${round(x)} ${round(y)}`
  }).join('')
}

// The same in steps, for what changes at once.
export function steps (points) {
  return points.map(({ x, y }, n) => n === 0 ? `M${round(x)} ${round(y)}` : `H${round(x)}V${round(y)}`).join('')
}

// Without what is left of a division in two: 0.30000000000000004.
function exact (number) {
  return Number(number.toPrecision(12))
}

function round (number) {
  return Math.round(number * 10) / 10
}
