import assert from 'node:assert/strict'
import { test } from 'node:test'
import { line, magnitudeScale, magnitudeTicks, scale, steps, ticks, wholeTicks } from '../source/scale.js'
import { ago, count, inSeconds, milliseconds, shortId, spoken } from '../source/words.js'

test('values read well', () => {
  assert.equal(shortId('12D3KooWAZSDTRjmmECLXPMPQFkTuayDVmYdy2XQLjYfLvbo1FiF'), '12D3…bo1FiF')
  assert.equal(shortId('short'), 'short')
  assert.deepEqual([null, 0.84, 9.97, 41.7, 999.7, 2345].map(milliseconds), ['–', '0.8 ms', '10 ms', '42 ms', '1.0 s', '2.3 s'])
  assert.deepEqual([ago(-5), ago(4000), ago(600_000)], ['just now', '4 s ago', '10 min ago'])
  assert.deepEqual([inSeconds(0), inSeconds(1500)], ['now', 'in 2 s'])
  assert.deepEqual([count(1, 'peer'), count(2, 'peer')], ['1 peer', '2 peers'])
})

test('what a peer says moves nothing around it', () => {
  assert.equal(spoken(' a\u0000b\u202ec\u2066d\u200f\ne '), 'abcd\ne')
})

test('ticks are round numbers that reach the highest value', () => {
  assert.deepEqual(ticks(3.2), [0, 1, 2, 3, 4])
  assert.deepEqual(ticks(173), [0, 50, 100, 150, 200])
  for (let highest = 0.1; highest < 100_000; highest *= 1.7) {
    const found = ticks(highest)
    assert.ok(found.at(-1) >= highest && found.length >= 2 && found.length <= 6, `${highest}: ${found}`)
  }
  assert.deepEqual(wholeTicks(3), [0, 1, 2, 3])
  assert.ok([...Array(200).keys()].every(highest => wholeTicks(highest).every(Number.isInteger)))
})

test('magnitudes are round numbers, too', () => {
  assert.deepEqual(magnitudeTicks(3.2, 8), [2, 5, 10])
  assert.deepEqual(magnitudeTicks(21, 90), [20, 50, 100])
  assert.deepEqual(magnitudeTicks(0.4, 2300), [0.1, 1, 10, 100, 1000, 10000])
  assert.deepEqual(magnitudeTicks(10, 10), [10, 20])
  for (let lowest = 0.1; lowest < 100_000; lowest *= 1.7) {
    for (let highest = lowest; highest < 100_000; highest *= 2.3) {
      const found = magnitudeTicks(lowest, highest)
      assert.ok(found[0] <= lowest && found.at(-1) >= highest && found.length >= 2 && found.length <= 7, `${lowest}–${highest}: ${found}`)
    }
  }
  assert.equal(Math.round(magnitudeScale(1, 100, 50)(10)), 25)
  assert.equal(magnitudeScale(1, 100, 50)(0), 0)
})

test('points become paths', () => {
  const points = [{ x: 0, y: 1 }, { x: 1, y: 2 }, { x: 9, y: 3 }]
  assert.equal(line(points, 5), 'M0 1L1 2M9 3')
  assert.equal(steps(points), 'M0 1H1V2H9V3')
  assert.equal(scale(10, 20, 100)(15), 50)
  assert.equal(scale(10, 10, 100)(10), 0)
})
