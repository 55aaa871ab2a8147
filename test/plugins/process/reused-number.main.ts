// Has a process end while it is read, and another take its number; prints what the reader is told. For a PID namespace of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { ProcessFolder } from '../../../src/plugins/process/process-folder.ts';

async function start() {
  const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  return child;
}

async function messageOf(work: () => unknown): Promise<string> {
  try {
    return `read ${await work()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const first = await start();
const pid = first.pid ?? 0;
using folder = ProcessFolder.open(pid);
first.kill('SIGKILL');
await once(first, 'exit');
writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
const isSame = (await start()).pid === pid;
const told = [await messageOf(() => folder.readText('cgroup')), await messageOf(() => folder.requireAlive())];
process.stdout.write(`same number ${isSame}: ${told.join('; ')}\n`);
process.exit();
