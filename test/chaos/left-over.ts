import { existsSync } from 'node:fs';
import { readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isGone } from '../plugin-host/is-gone.ts';
import { type ChaosDomain, SIDES } from './chaos-domain.ts';
import { temporaryFilesIn } from './whole-files.ts';

const END_MS = 10_000;

/** Stops both programs as their users do. @returns what is there still and should not be */
export async function leftOver(domain: ChaosDomain): Promise<readonly string[]> {
  const { deployment } = domain;
  const found: string[] = [];
  for (const side of SIDES.toReversed()) {
    const { code, signal } = await domain.program(side).stop();
    if (code !== 0) found.push(`the ${side} ended with ${signal ?? `code ${code}`} when it was asked to`);
  }
  const plugins = deployment.programs.flatMap(({ pluginPids }) => pluginPids);
  for (const pid of await thoseThatStay(plugins)) found.push(`plugin process ${pid} is left`);
  for (const pid of await processesOf(deployment.folder.path)) found.push(`process ${pid} is left`);
  for (const path of [deployment.adminSocket, deployment.workloadSocket]) {
    if (existsSync(path)) found.push(`the socket ${path} is left`);
  }
  for (const side of SIDES) {
    const folder = deployment.temporaryFolder(side);
    for (const name of await readdir(folder)) found.push(`${name} is left in the ${side}'s temporary folder`);
  }
  return [...found, ...(await temporaryFilesLeft(domain))];
}

/** Those of a crash are removed by a start that comes more than a minute later. */
async function temporaryFilesLeft({ deployment }: ChaosDomain): Promise<readonly string[]> {
  const old = new Date(Date.now() - 120_000);
  for (const side of SIDES) {
    const folder = deployment.dataFolder(side);
    for (const name of await temporaryFilesIn(folder)) await utimes(join(folder, name), old, old);
  }
  const server = await deployment.startServer();
  const agent = await deployment.startAgent();
  await agent.stop();
  await server.stop();
  const left = await Promise.all(SIDES.map((side) => temporaryFilesIn(deployment.dataFolder(side))));
  return left.flat().map((name) => `the temporary file ${name} is left in a data folder`);
}

async function thoseThatStay(pids: readonly number[]): Promise<readonly number[]> {
  const deadline = Date.now() + END_MS;
  for (;;) {
    const left = pids.filter((pid) => !isGone(pid));
    if (left.length === 0 || Date.now() > deadline) return left;
    await wait(50);
  }
}

/** Those that were started with a path below that folder, whoever started them; not the TPM. */
async function processesOf(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = await Promise.all(
    pids
      .map(async (pid) => {
        const started = await Promise.all(
          ['cmdline', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
        );
        return started.join().includes(`${folder}/`) ? [pid] : [];
      })
      .map((looked) => looked.catch(() => [])),
  );
  return found.flat();
}
