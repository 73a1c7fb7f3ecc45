// Bundles the page:  node build.mjs OUTPUT-FOLDER
//
// Every file but index.html has a digest of its contents in its name, so that it can be cached for ever. The same sources
// and the same lock file give the same bytes.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { build } from 'esbuild'
import { licenses } from './licenses.mjs'

const SETTINGS = {
  bundle: true,
  charset: 'utf8',
  format: 'esm',
  legalComments: 'none', // licenses.txt has the texts
  logLevel: 'warning',
  metafile: true,
  minify: true,
  platform: 'browser',
  target: ['chrome122', 'firefox128', 'safari17.4'],
  write: false
}

async function bundle (entry) {
  const { outputFiles: [file], metafile } = await build({ ...SETTINGS, entryPoints: [entry] })
  return { contents: file.contents, inputs: Object.keys(metafile.inputs) }
}

function named (file, contents) {
  const digest = createHash('sha256').update(contents).digest('hex').slice(0, 12)
  const { name, ext } = path.parse(file)
  return `${name}-${digest}${ext}`
}

const [target] = process.argv.slice(2)
const script = await bundle('source/main.js')
const files = {
  'main.js': script.contents,
  'style.css': (await bundle('style.css')).contents,
  'icon.svg': readFileSync('icon.svg'),
  'licenses.txt': licenses(script.inputs)
}
let html = readFileSync('index.html', 'utf8')
mkdirSync(target, { recursive: true })
for (const [file, contents] of Object.entries(files)) {
  const name = named(file, contents)
  html = html.replaceAll(`"${file}"`, `"${name}"`)
  writeFileSync(path.join(target, name), contents)
}
writeFileSync(path.join(target, 'index.html'), html)
