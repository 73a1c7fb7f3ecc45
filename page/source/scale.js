// Where things go in a plot. Pure.

// Round numbers from 0 up to at least `highest`: [0, 1, 2], [0, 5, 10, 15], …; at most five.
export function ticks (highest, least = 1) {
  const top = Math.max(highest, least)
  const power = 10 ** Math.floor(Math.log10(top / 4))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size * 4 >= top)
  const found = [0]
  while (found.at(-1) < top) {
    found.push(Number((found.length * step).toPrecision(12)))
  }
  return found
}

// For whole things: no step below one.
export function wholeTicks (highest) {
  return highest <= 4 ? Array.from({ length: Math.max(highest, 2) + 1 }, (_, n) => n) : ticks(highest)
}

// The numbers of [from, to] onto [0, length].
export function scale (from, to, length) {
  return value => to === from ? 0 : ((value - from) / (to - from)) * length
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

function round (number) {
  return Math.round(number * 10) / 10
}
