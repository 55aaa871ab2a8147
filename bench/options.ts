import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CHECKOUT } from './process/checkout.ts';

/** What a server costs with more and more in its database, what an agent does, evidence of a TPM, or keys on a PKCS#11 token. */
const SUITES = ['scale', 'agent', 'tpm', 'pkcs11'] as const;
export type Suite = (typeof SUITES)[number];

export interface BenchOptions {
  /** Instead of all the rest. */
  readonly suite: Suite | undefined;
  /** Measures only what has a name that begins with one of these; everything where it is empty. */
  readonly only: readonly string[];
  /** Of each load, after its warm-up. */
  readonly seconds: number;
  /** At once, where a load does not say otherwise. */
  readonly callers: number;
  /** That listen to the server while changes are pushed. */
  readonly agents: number;
  /** Open at an agent. */
  readonly streams: number;
  /** Of one agent. */
  readonly entries: number;
  /** Starts and handshakes are measured this often. */
  readonly runs: number;
  /** The built programs: a folder called `dist`, with `package.json` and `native/build/Release` beside it. */
  readonly dist: string;
  readonly jsonPath: string;
  /** Replaces the figures in docs/performance.md. */
  readonly writeDocs: boolean;
}

export const USAGE = `npm run bench -- [scale|agent|tpm|pkcs11] [--only NAME,NAME] [--seconds N] [--callers N] [--runs N] [--agents N] [--streams N] [--entries N] [--json FILE] [--write-docs]`;

/** @throws Error that says what is wrong with the command line. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: 'string', default: '' },
      seconds: { type: 'string', default: '5' },
      callers: { type: 'string', default: '8' },
      runs: { type: 'string', default: '5' },
      agents: { type: 'string', default: '1000' },
      streams: { type: 'string', default: '5000' },
      entries: { type: 'string', default: '10000' },
      dist: { type: 'string', default: join(CHECKOUT, 'dist') },
      json: { type: 'string', default: join(CHECKOUT, 'dist', 'bench.json') },
      'write-docs': { type: 'boolean', default: false },
    },
  });
  const [name, ...others] = positionals;
  const suite = SUITES.find((known) => known === name);
  if (others.length > 0 || suite !== name) {
    throw new Error(
      `"${positionals.join(' ')}" is no suite: there are ${SUITES.map((known) => `"${known}"`).join(', ')}`,
    );
  }
  return {
    suite,
    only: values.only.split(',').filter((name) => name !== ''),
    seconds: positive('seconds', values.seconds),
    callers: Math.round(positive('callers', values.callers)),
    agents: Math.round(positive('agents', values.agents)),
    streams: Math.round(positive('streams', values.streams)),
    entries: Math.round(positive('entries', values.entries)),
    runs: Math.round(positive('runs', values.runs)),
    dist: values.dist,
    jsonPath: values.json,
    writeDocs: values['write-docs'],
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`--${name} is "${text}", it has to be a number above 0`);
  return value;
}
