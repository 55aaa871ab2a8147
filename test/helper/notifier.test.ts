import { chmod, chown, symlink, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { HelperConfig } from '../../src/config/helper-config.ts';
import { readHelperConfig } from '../../src/config/helper-config.ts';
import { Notifier } from '../../src/helper/notifier.ts';
import { readPidFile } from '../../src/helper/read-pid-file.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { TestProcess } from '../harness/child-process.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const FILES = 'svid_file_name = "s"\nsvid_key_file_name = "k"\nsvid_bundle_file_name = "b"';

async function configOf(folder: TemporaryFolder, settings: string): Promise<HelperConfig> {
  await writeFile(folder.join('helper.conf'), `cert_dir = "${folder.path}"\n${FILES}\n${settings}`);
  return readHelperConfig({ path: folder.join('helper.conf') });
}

function logged(records: LogRecord[]): Logger {
  return new Logger((record) => records.push(record), 'debug');
}

test('the process of a file is signalled as soon as there is one', async () => {
  await using folder = await createTemporaryFolder();
  const records: LogRecord[] = [];
  const config = await configOf(folder, `renew_signal = "SIGUSR2"\npid_file_name = "${folder.join('pid')}"`);
  await using notifier = new Notifier(config, logged(records));
  await using told = await TestProcess.node(
    '-e',
    "process.on('SIGUSR2', () => console.log('told')); console.log('up'); setInterval(() => {}, 1000)",
  );
  expect(await told.readLine()).toBe('up');
  notifier.notify();
  await eventually(() => expect(() => notifier.check()).toThrow('does not exist: the program may not run yet'));
  await writeFile(folder.join('pid'), `${told.pid}\nmore\n`);
  expect(await told.readLine()).toBe('told');
  await eventually(() => expect(() => notifier.check()).not.toThrow());
  expect(records.map(({ level }) => level)).toEqual(['warning', 'info']);
});

test('a process that is another program than the server is left alone', async () => {
  await using folder = await createTemporaryFolder();
  const config = await configOf(folder, `reload = "nginx"\npid_file_name = "${folder.join('pid')}"`);
  await using notifier = new Notifier(config, logged([]));
  await using other = await TestProcess.start('cat', []);
  await writeFile(folder.join('pid'), `${other.pid}\n`);
  notifier.notify();
  await eventually(() => expect(() => notifier.check()).toThrow('is "cat", not nginx: it is left alone'));
  other.writeLine('still here');
  expect(await other.readLine()).toBe('still here');
});

test('a command that no signal tells is run again, once it has ended', async () => {
  await using folder = await createTemporaryFolder();
  const records: LogRecord[] = [];
  const started = () => records.filter(({ message }) => message === 'the command was started').length;
  await using notifier = new Notifier(await configOf(folder, 'cmd = "sleep"\ncmd_args = "0.5"'), logged(records));
  notifier.notify();
  await eventually(() => expect(started()).toBe(1));
  notifier.notify();
  await eventually(() => expect(started()).toBe(2));
  await eventually(() => expect(records.filter(({ message }) => message === 'the command has ended')).toHaveLength(2));
});

test('a command that cannot be started is told with its name', async () => {
  await using folder = await createTemporaryFolder();
  await using notifier = new Notifier(await configOf(folder, 'cmd = "/no/such/program"'), logged([]));
  notifier.notify();
  await eventually(() => expect(() => notifier.check()).toThrow('the command "/no/such/program" cannot be started'));
});

test.each([
  ['', 'no process id'],
  ['x', 'no process id'],
  ['-5', 'no process id'],
  ['1', 'above 1'],
  ['0', 'above 1'],
  ['99999999999', 'no process id'],
])('a file with %j names no process', async (text, message) => {
  await using folder = await createTemporaryFolder();
  await writeFile(folder.join('pid'), text);
  await expect(readPidFile(folder.join('pid'))).rejects.toThrow(message);
});

test('a user whose file it is cannot have a signal sent to the processes of others', async () => {
  await using folder = await createTemporaryFolder();
  await using own = await TestProcess.start('setpriv', ['--reuid', '12345', '--clear-groups', 'cat']);
  await using other = await TestProcess.start('/bin/cat', []);
  const path = folder.join('pid');
  const isOf = `belongs to user 12345 and names process ${other.pid}, which is of user 0: it is left alone`;
  await writeFile(path, `${other.pid}\n`);
  expect(await readPidFile(path)).toBe(other.pid);
  await chown(path, 12_345, 12_345);
  await expect(readPidFile(path)).rejects.toThrow(isOf);
  await writeFile(path, `${own.pid}\n`);
  await eventually(async () => expect(await readPidFile(path)).toBe(own.pid));

  await writeFile(folder.join('system.pid'), `${other.pid}\n`);
  await symlink('system.pid', folder.join('link'));
  await chown(folder.path, 12_345, 12_345);
  await expect(readPidFile(folder.join('link'))).rejects.toThrow(/by way of the symbolic link "link"/);
  await chmod(path, 0o666);
  await expect(readPidFile(path)).rejects.toThrow(
    /every user may write to the file ".*" of the process id: run chmod o-w/,
  );
});
