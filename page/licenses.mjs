// The licences of what is in a bundle, as their texts ask for.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

const LICENSE = /^(licen[cs]e|copying|notice)/i

// inputs: the files that the bundle was made of. Packages with the same text stand above it together.
export function licenses (inputs) {
  const folders = new Set(inputs.map(packageFolder).filter(folder => folder != null))
  const byText = new Map()
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'))
    const text = licenseText(folder) ?? `Licence: ${license}`
    byText.set(text, [...byText.get(text) ?? [], `${name} ${version} (${license})`])
  }
  const parts = [...byText].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`)
  return `This page contains the following packages.\n\n${parts.join(`\n${'-'.repeat(80)}\n\n`)}`
}

function packageFolder (file) {
  const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)
  return found?.[1]
}

function licenseText (folder) {
  const files = readdirSync(folder).filter(name => LICENSE.test(name) && existsSync(path.join(folder, name))).sort()
  const texts = files.map(name => readFileSync(path.join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim())
  return texts.length === 0 ? null : texts.join('\n\n')
}
