import { describe, expect, test } from 'vitest';
import { type LaunchContext, type Measure, planLaunch } from '../../../src/plugin-host/sandbox/launch-plan.ts';
import { toPolicy } from '../../../src/plugin-host/sandbox/policy.ts';
import { memoryManifest } from '../../../src/plugins/memory/manifest.ts';
import { tpmAgentManifest } from '../../../src/plugins/tpm/manifest.ts';
import { unixManifest } from '../../../src/plugins/unix/manifest.ts';

const context = (impossible: readonly Measure[] = [], isRoot = true): LaunchContext => ({
  isRoot,
  userId: isRoot ? 1_900_000_000 : undefined,
  ownCapabilities: isRoot ? Array.from({ length: 41 }, (_, number) => number) : [],
  places: [{ kind: 'read-only', path: '/usr', source: '/usr' }],
  folder: '/srv',
  controlGroups: [],
  isImpossible: (measure) => impossible.includes(measure),
});

describe('the launcher’s command line', () => {
  test('for a plugin that needs nothing: every measure', () => {
    const { args, measures } = planLaunch(toPolicy(memoryManifest(), undefined), context());
    expect(measures.toSorted()).toEqual(
      [
        ...['capabilities', 'ipc-namespace', 'landlock', 'limits', 'mounts', 'network-namespace', 'no-new-privileges'],
        ...['pid-namespace', 'proc', 'system-calls', 'user'],
      ].toSorted(),
    );
    expect(args.join(' ')).toContain(
      '--capabilities - --no-new-privileges --landlock --system-calls --unix-sockets-only',
    );
  });

  test('for a plugin of which nothing is known: what cannot break it', () => {
    const { args, measures } = planLaunch(toPolicy(undefined, undefined), { ...context(), userId: undefined });
    expect(measures.toSorted()).toEqual(['limits', 'no-new-privileges']);
    expect(args).not.toContain('processes'); // all of the user's would count
  });

  test('for one that looks at processes: those of all, no Landlock, the capability for it', () => {
    const { args, measures } = planLaunch(toPolicy(unixManifest(''), undefined), context());
    expect(args).toEqual(expect.arrayContaining(['--proc-all', '--capabilities', '19']));
    for (const measure of ['landlock', 'pid-namespace'] as const) expect(measures).not.toContain(measure);
  });

  test('for one that others go before: a priority to match its weight', () => {
    const policy = toPolicy(undefined, { enabled: true, required: false, env: [], cpuWeight: 25 });
    const { args, measures } = planLaunch(policy, { ...context(), userId: undefined });
    expect(measures).toContain('cpu-weight');
    expect(args.join(' ')).toContain('--nice 6'); // 1.25⁶ is 3.8
  });

  test('as an ordinary user: by a user namespace', () => {
    const { measures } = planLaunch(toPolicy(memoryManifest(), undefined), context([], false));
    expect(measures).toEqual(expect.arrayContaining(['user-namespace', 'mounts', 'network-namespace']));
    expect(planLaunch(toPolicy(unixManifest(''), undefined), context([], false)).measures).not.toContain('mounts');
  });

  test('what is not possible takes along what needs it', () => {
    const { args, measures } = planLaunch(toPolicy(memoryManifest(), undefined), context(['pid-namespace']));
    expect(measures).not.toContain('proc');
    expect(args).not.toContain('--proc-own');
    const without = planLaunch(toPolicy(memoryManifest(), undefined), context(['user-namespace'], false));
    expect(without.measures).not.toContain('mounts');
    expect(without.measures).toContain('landlock');
  });
});

const KERNEL_LOGS = [
  '/sys/kernel/security/tpm0/binary_bios_measurements',
  '/sys/kernel/security/ima/binary_runtime_measurements',
];

describe('what the tpm attestor needs', () => {
  test.each([
    ['', { devices: ['/dev/tpmrm0'], network: 'none', user: 'own', readable: KERNEL_LOGS }],
    ['tcti = "device:/dev/tpm1"', { devices: ['/dev/tpm1'], network: 'none' }],
    [
      'tcti = "swtpm:path=/run/swtpm/socket"',
      { readable: [...KERNEL_LOGS, '/run/swtpm'], network: 'none', user: 'host' },
    ],
    [
      'event_log_path = "/a/events"\nima_log_path = "/a/ima"\ncommand_line_path = "/a/line"',
      { readable: ['/a/events', '/a/ima', '/a/line'] },
    ],
    ['tcti = "swtpm:host=10.0.0.1,port=2321"', { network: 'all' }],
    ['tcti = "tabrmd:bus_type=system"', { network: 'unix' }],
  ])('with %j', (data, expected) => {
    expect(tpmAgentManifest(data)).toMatchObject(expected);
  });

  test('cannot be known for a TCTI of others', () => {
    expect(tpmAgentManifest('tcti = "cmd:nc tpm 1"')).toBeUndefined();
  });
});
