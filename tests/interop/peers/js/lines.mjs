// One JSON object a line: commands come in on standard input, answers and events go out on standard output.
//
//   in   {"id": 1, "command": "dial", "addr": "/ip4/127.0.0.1/tcp/4001"}
//   out  {"id": 1, "result": {...}}     or     {"id": 1, "error": "what went wrong"}
//   out  {"event": "message", ...}      at any time
//
// Everything else (libp2p's own log, warnings) goes to standard error.

import { createInterface } from 'node:readline'

export function emit (value) {
  process.stdout.write(JSON.stringify(value) + '\n')
}

function describe (error) {
  const causes = [error, ...(error.errors ?? []), error.cause].filter(cause => cause != null)
  return causes.map(cause => `${cause.name ?? 'Error'}: ${cause.message ?? cause}`).join('; ')
}

async function answer (commands, line) {
  const { id, command, ...args } = JSON.parse(line)
  try {
    if (!Object.hasOwn(commands, command)) {
      throw new Error(`unknown command ${command}`)
    }
    emit({ id, result: (await commands[command](args)) ?? {} })
  } catch (error) {
    emit({ id, error: describe(error) })
  }
}

// Runs commands side by side as they arrive; the end of the input ends the process.
export function serve (commands) {
  const input = createInterface({ input: process.stdin })
  input.on('line', line => { answer(commands, line) })
  input.on('close', () => { process.exit(0) })
}
