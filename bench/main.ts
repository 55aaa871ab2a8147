import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { createTemporaryFolder } from '../test/harness/temporary-folder.ts';
import { Driver } from './driver/driver.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { formatAgent } from './report/agent.ts';
import { writePlot, writeSection } from './report/docs.ts';
import { formatPkcs11 } from './report/pkcs11.ts';
import { formatScale, plotScale } from './report/scale.ts';
import { formatResults, machineLine } from './report/tables.ts';
import { formatTpm } from './report/tpm.ts';
import type { AttestationResults, BenchResults, Machine } from './results.ts';
import { measureAgent } from './suites/agent.ts';
import { measureEvidence } from './suites/evidence.ts';
import { measureHandshakes } from './suites/handshakes.ts';
import { measureNeighbours } from './suites/hostile-neighbours.ts';
import { measurePkcs11 } from './suites/pkcs11.ts';
import { measureHops } from './suites/plugin-hops.ts';
import { measurePluginStarts } from './suites/plugin-starts.ts';
import { measurePush } from './suites/push.ts';
import { measureScale } from './suites/scale.ts';
import { measureServerLoads } from './suites/server-loads.ts';
import { measureSigning } from './suites/signing.ts';
import { measureStarts } from './suites/starts.ts';
import { type AttestationOptions, measureAttestations } from './suites/tpm-attestations.ts';
import { measureWorkloadLoads } from './suites/workload-loads.ts';

async function run(options: BenchOptions): Promise<BenchResults> {
  const { dist, seconds, callers, runs } = options;
  const isWanted = wantedBy(options);
  const machine = describeMachine();
  await using folder = await createTemporaryFolder();
  await using driver = await Driver.start();
  const loadOptions = { folder: folder.path, dist, seconds, callers, isWanted, report };
  const started = isWanted('start') ? await measureStarts(folder.path, dist, runs) : NO_STARTS;
  const handshakes = isWanted('handshake') ? await measureHandshakes(dist, runs) : [];
  const signing = isWanted('sign-hop') ? await measureSigning(dist, { seconds, callers }) : [];
  const plugins = isWanted('plugin-start') ? await measurePluginStarts(dist, { runs, report }) : NO_STARTS;
  const hops = isWanted('plugin-hop') ? await measureHops(dist, { seconds: seconds * 0.6, callers, report }) : [];
  const neighbours = isWanted('hostile')
    ? await measureNeighbours(dist, { seconds: seconds * 0.6, callers, report })
    : [];
  const push = isWanted('push')
    ? await measurePush({ folder: folder.path, dist, agents: options.agents, samples: 100, report })
    : { pushes: [], memory: [] };
  const onServer = await measureServerLoads(driver, loadOptions);
  const onAgent = await measureWorkloadLoads(driver, loadOptions);
  return {
    takenAt: new Date().toISOString(),
    machine,
    secondsALoad: seconds,
    starts: started.starts,
    handshakes,
    pluginStarts: plugins.starts,
    signing,
    hops,
    neighbours,
    loads: [...onServer.loads, ...onAgent.loads],
    pushes: push.pushes,
    memory: [...started.memory, ...plugins.memory, ...push.memory, ...onServer.memory, ...onAgent.memory],
  };
}

/** Whether what is measured under a name is among what the command line asks for. */
function wantedBy({ only }: Pick<BenchOptions, 'only'>): (name: string) => boolean {
  return (name) => only.length === 0 || only.some((prefix) => name.startsWith(prefix));
}

const NO_STARTS = { starts: [], memory: [] };

function describeMachine(): Machine {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.versions.node,
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** @returns the same as text for people. */
async function runScale({ dist, seconds, jsonPath, writeDocs }: BenchOptions): Promise<string> {
  const machine = describeMachine();
  const takenAt = new Date().toISOString();
  await using folder = await createTemporaryFolder();
  const results = await measureScale({ folder: folder.path, dist, seconds, report });
  const text = formatScale(results, machine, takenAt);
  writeJson(jsonPath, { takenAt, machine, scale: results });
  if (writeDocs) {
    writeSection('scale', text);
    writePlot(plotScale(results));
  }
  return text;
}

/** @returns the same as text for people. */
async function runAgent(options: BenchOptions): Promise<string> {
  const { dist, seconds, callers, streams, entries, jsonPath, writeDocs } = options;
  const machine = describeMachine();
  const takenAt = new Date().toISOString();
  await using folder = await createTemporaryFolder();
  await using driver = await Driver.start();
  const results = await measureAgent(driver, {
    folder: folder.path,
    dist,
    seconds,
    callers,
    streams,
    entries,
    isWanted: wantedBy(options),
    report,
  });
  const text = formatAgent(results, machine, takenAt);
  writeJson(jsonPath, { takenAt, machine, agent: results });
  if (writeDocs) writeSection('agent', text);
  return text;
}

/** @returns the same as text for people. */
async function runTpm({ dist, seconds, callers, only, jsonPath, writeDocs }: BenchOptions): Promise<string> {
  const machine = describeMachine();
  const takenAt = new Date().toISOString();
  const isWanted = wantedBy({ only });
  const evidence = isWanted('evidence') ? await measureEvidence({ seconds, report }) : [];
  const attestations = isWanted('attest')
    ? await measureKeptAttestations({ dist, seconds, callers, report })
    : NO_LOADS;
  const text = formatTpm({ evidence, attestations }, machine, takenAt, seconds);
  writeJson(jsonPath, { takenAt, machine, tpm: { evidence, attestations } });
  if (writeDocs) writeSection('tpm', text);
  return text;
}

async function measureKeptAttestations(options: Omit<AttestationOptions, 'folder'>): Promise<AttestationResults> {
  await using folder = await createTemporaryFolder();
  await using driver = await Driver.start();
  return await measureAttestations(driver, { ...options, folder: folder.path });
}

const NO_LOADS = { loads: [], memory: [] };

/** @returns the same as text for people. */
async function runPkcs11({ dist, seconds, jsonPath, writeDocs }: BenchOptions): Promise<string> {
  const machine = describeMachine();
  const takenAt = new Date().toISOString();
  const results = await measurePkcs11(dist, { seconds, report });
  const text = `${machineLine(machine, takenAt, `${seconds} s each; `)}\n\n${formatPkcs11(results)}\n`;
  writeJson(jsonPath, { takenAt, machine, pkcs11: results });
  if (writeDocs) writeSection('pkcs11', text);
  return text;
}

async function runAll(options: BenchOptions): Promise<string> {
  const results = await run(options);
  const text = formatResults(results);
  writeJson(options.jsonPath, results);
  if (options.writeDocs) writeSection('figures', text);
  return text;
}

const RUNS = { all: runAll, scale: runScale, agent: runAgent, tpm: runTpm, pkcs11: runPkcs11 };

function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

function report(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  const text = await RUNS[options.suite ?? 'all'](options);
  process.stdout.write(`${text}\nJSON: ${options.jsonPath}\n`);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`);
  process.exitCode = 1;
}
