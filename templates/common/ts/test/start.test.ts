import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

const PROGRAMS: readonly (readonly [entry: string, kind: string])[] = JSON.parse('__PROGRAMS__');

for (const [entry, kind] of PROGRAMS) {
  test(`${entry} says go-plugin's handshake to a host of ${kind} plugins`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plugin-'));
    const plugin = spawn(process.execPath, [join(import.meta.dirname, '..', entry)], {
      env: { ...process.env, [kind]: kind, PLUGIN_UNIX_SOCKET_DIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = await once(createInterface({ input: plugin.stdout }), 'line');
      assert.match(String(line), /^1\|1\|unix\|[^|]+\|grpc\|$/);
    } finally {
      plugin.kill();
      await once(plugin, 'exit');
      await rm(folder, { recursive: true });
    }
  });

  test(`${entry} tells who starts it by hand what it is`, async () => {
    const plugin = spawn(process.execPath, [join(import.meta.dirname, '..', entry)], {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [said] = await once(createInterface({ input: plugin.stderr }), 'line');
    assert.match(String(said), new RegExp(`plugin ${kind} .* a host has to start`));
  });
}
