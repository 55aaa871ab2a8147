import { z } from 'zod';

/** Where systemd's own bus listens. Source: D-Bus specification, Well-known Message Bus Instances. */
export const DEFAULT_DBUS_SOCKET_PATH = '/run/dbus/system_bus_socket';

/** Inventory P018; SPIRE's plugin has no settings. */
export const systemdConfig = z.strictObject({
  dbus_socket_path: z.string().regex(/^\//, { error: 'must be an absolute path' }).default(DEFAULT_DBUS_SOCKET_PATH),
});
