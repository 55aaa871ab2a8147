import { defineWorkloadAttestor } from '../../plugin-sdk/index.ts';
import { systemdConfig } from './config.ts';
import { Units } from './units.ts';

/** Tells which unit of systemd a process belongs to. */
export const systemdWorkloadAttestor = defineWorkloadAttestor({
  name: 'systemd',
  config: systemdConfig,
  configure: ({ dbus_socket_path }) => new Units(dbus_socket_path),
  async attest(pid, units, { signal }) {
    const unit = await units.findUnit(pid, signal);
    if (unit === undefined) return [];
    const { id, fragmentPath, invocationId } = unit;
    return [
      `id:${id}`,
      ...(fragmentPath === '' ? [] : [`fragment_path:${fragmentPath}`]),
      ...(invocationId === '' ? [] : [`invocation_id:${invocationId}`]),
    ];
  },
});
