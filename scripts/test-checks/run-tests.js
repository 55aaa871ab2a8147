import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where the checks are tested. Mutations of whole messages, a TPM that does everything right, and programs, which have every check
 * in place, say nothing of one check.
 */
const SUITES = [
  'test/tpm',
  'test/tpm/boot',
  'test/tpm/evidence',
  'test/tpm/policy',
  'test/x509/ek-certificate.test.ts',
  'test/plugins',
];
const SUITE_FILE = /\/(?![^/]*-(?:fuzz|swtpm|sandbox)\.)[^/]+\.test\.ts$/;

/** A check may be all that ends a loop: without it the tests are ended after so long. */
const LIMIT_MS = 180_000;

/** Every test file of the verifier. */
export function suiteFiles() {
  return SUITES.flatMap((path) =>
    path.endsWith('.ts') ? [path] : readdirSync(path).map((name) => `${path}/${name}`),
  ).filter((path) => SUITE_FILE.test(path) && (!path.startsWith('test/plugins') || path.includes('/tpm-server')));
}

/**
 * The test files that name a check.
 *
 * @param {string} check
 */
export function filesOf(check) {
  const named = new RegExp(`\\b${check}\\b`);
  return suiteFiles().filter((path) => named.test(readFileSync(path, 'utf8')));
}

/**
 * Runs test files, without one check where it is named, up to the first failure.
 *
 * @param {readonly string[]} files
 * @param {string} [switchedOff]
 * @returns {Promise<{ passed: number, failed: readonly string[], isEndless: boolean }>} how many passed, and the names of the tests
 *   that failed
 */
export async function runTests(files, switchedOff) {
  const folder = mkdtempSync(join(tmpdir(), 'assayer-checks-'));
  try {
    const report = join(folder, 'report.json');
    const options = [
      '--reporter=json',
      `--outputFile=${report}`,
      '--no-isolate',
      '--maxWorkers=1',
      '--pool=threads',
      '--bail=1',
    ];
    const env = {
      ...process.env,
      NO_COLOR: '1',
      ...(switchedOff === undefined ? {} : { ASSAYER_SWITCH_OFF: switchedOff }),
    };
    const { output, signal } = await endOf(
      spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...options, ...files], {
        env,
        timeout: LIMIT_MS,
        killSignal: 'SIGKILL',
      }),
    );
    if (signal === 'SIGKILL') return { passed: 0, failed: [], isEndless: true };
    const results = readReport(report, output).testResults;
    const tests = results.flatMap((/** @type {any} */ { assertionResults }) => assertionResults);
    if (tests.length === 0) throw new Error(`vitest ran no test:\n${output}`);
    return {
      passed: tests.filter((/** @type {any} */ { status }) => status === 'passed').length,
      failed: tests
        .filter((/** @type {any} */ { status }) => status === 'failed')
        .map((/** @type {any} */ { fullName }) => fullName),
      isEndless: false,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} report
 * @param {string} output
 */
function readReport(report, output) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch (cause) {
    throw new Error(`vitest wrote no report:\n${output}`, { cause });
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<{ output: string, signal: NodeJS.Signals | null }>}
 */
function endOf(child) {
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (_code, signal) => resolve({ output, signal }));
  });
}
