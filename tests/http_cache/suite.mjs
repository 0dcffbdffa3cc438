// Runs the suite that it lies in against the proxy that is named, and counts as the suite's own result pages do.
import fetch from 'node-fetch'
import { runTests, getResults } from './client/runner.mjs'
import tests from './tests/index.mjs'

// `Surrogate-Control`, a suite of its own beside these, is for content delivery networks.
await runTests(tests, fetch, false, process.argv[2])
const results = getResults()
const all = new Map(tests.flatMap(suite => suite.tests).map(test => [test.id, test]))
const kind = test => test.kind ?? 'required'
// A test whose dependency does not pass is greyed out on the result pages.
const stands = test => (test.depends_on ?? []).every(id => results[id] === true && stands(all.get(id)))
const counted = [...all.values()].filter(test => !test.browser_only)
const figure = (name, wanted, shown = () => true) => {
  const members = counted.filter(test => kind(test) === wanted && shown(test))
  return `${name} ${members.filter(passes).length}/${members.length}`
}
const passes = test => results[test.id] === true
console.log([
  figure('required', 'required'),
  figure('site', 'required', stands),
  figure('optimal', 'optimal'),
  figure('check', 'check')
].join('  '))
for (const test of counted.filter(test => !passes(test))) {
  console.log(`${kind(test)} ${test.id}: ${[results[test.id]].flat().join(': ')}`)
}
