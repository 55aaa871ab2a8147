import { expect, test } from 'vitest';
import { toLoadError, toPluginError } from '../../src/plugin-host/plugin-error.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';

const plugin = { type: 'NodeAttestor', name: 'tpm' } as const;
const details = [{ typeUrl: 'type.googleapis.com/x', value: Uint8Array.of(1) }];

test.each([
  ['a plain message', 'no', 'nodeattestor(tpm): no'],
  ['one that has the prefix', 'nodeattestor(tpm): no', 'nodeattestor(tpm): no'],
  ['one with an old plugin’s prefix', 'tpm: no', 'nodeattestor(tpm): no'],
  ['another plugin’s prefix', 'keymanager(disk): no', 'nodeattestor(tpm): keymanager(disk): no'],
])('%s gets the prefix once; code and details stay (§9)', (_what, message, expected) => {
  expect(toPluginError(plugin, new RemoteError(Status.PermissionDenied, message, details))).toMatchObject({
    status: Status.PermissionDenied,
    message: expected,
    details,
  });
});

test('a message without end is cut', () => {
  const error = toPluginError(plugin, new SpiffeError('PLUGIN_PROTOCOL', 'x'.repeat(1_000_000)));
  expect(error).toMatchObject({ code: 'PLUGIN_PROTOCOL', message: expect.stringMatching(/^.{0,5000}$/) });
});

test('a failed load has SPIRE’s words, and not the prefix (§9)', () => {
  const error = new RemoteError(Status.InvalidArgument, 'no');
  expect(toLoadError(plugin, 'load', error).message).toBe('failed to load plugin "tpm": no');
  expect(toLoadError(plugin, 'configure', error).message).toBe('failed to configure plugin "tpm": no');
});
