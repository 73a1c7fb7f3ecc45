// Says each test, and ends with a line as Trial's, which .ci/tally.py adds up.

export default async function * report (events) {
  let passed = 0
  let failed = 0
  for await (const { type, data } of events) {
    if (type === 'test:pass' && data.details?.type !== 'suite') {
      passed++
      yield `${data.name} ... [OK]\n`
    } else if (type === 'test:fail' && data.details?.type !== 'suite') {
      failed++
      yield `${data.name} ... [FAIL]\n${data.details.error.cause?.stack ?? data.details.error.message}\n`
    }
  }
  const counts = [...failed > 0 ? [`failures=${failed}`] : [], `successes=${passed}`]
  yield `${failed > 0 ? 'FAILED' : 'PASSED'} (${counts.join(', ')})\n`
}
