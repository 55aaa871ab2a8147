import { setTimeout as delay } from 'node:timers/promises';
import { HealthDefinition } from '../../gen/grpc/health/v1/health.ts';
import { GRPCStdioDefinition } from '../../gen/plugin/plugin.ts';
import { ConfigDefinition, type ValidateResponse } from '../../gen/spire/service/common/config/v1/config.ts';
import { InitDefinition } from '../../gen/spire/service/private/init/v1/init.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import { HEALTH_SERVICE_NAME } from '../../rpc/go-plugin.ts';
import { statusOf } from '../../rpc/status.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** How long a stream that is there may take to be refused. */
const STREAM_REFUSAL_MS = 300;
const DEADLINE_MS = 10_000;

export async function hasHealth(connection: PluginConnection): Promise<boolean> {
  return await isThere(
    connection.client(HealthDefinition).check({ service: HEALTH_SERVICE_NAME }, { deadlineMs: DEADLINE_MS }),
  );
}

/** The host's own stream of it is open already: a second one does no harm, and is ended at once. */
export async function hasStdio(connection: PluginConnection): Promise<boolean> {
  await using stream = connection.client(GRPCStdioDefinition).streamStdio({});
  return await isThere(Promise.race([stream.receive(), delay(STREAM_REFUSAL_MS, undefined, { ref: false })]));
}

/** @returns what it thinks of the configuration; undefined where it has no such method, or refused to think. */
export async function askValidate(
  connection: PluginConnection,
  trustDomain: TrustDomain,
  hclConfiguration: string,
): Promise<{ readonly isThere: boolean; readonly answer: ValidateResponse | undefined }> {
  const request = { coreConfiguration: { trustDomain }, hclConfiguration };
  const asking = connection.client(ConfigDefinition).validate(request, { deadlineMs: DEADLINE_MS });
  return { isThere: await isThere(asking), answer: await asking.catch(() => undefined) };
}

/** Deinitializes the plugin, which comes before its end. */
export async function hasDeinit(connection: PluginConnection): Promise<boolean> {
  return await isThere(connection.client(InitDefinition).deinit({}, { deadlineMs: DEADLINE_MS }));
}

/** Any answer but `UNIMPLEMENTED` comes from somebody who knows the method. */
async function isThere(call: Promise<unknown>): Promise<boolean> {
  return await call.then(
    () => true,
    (error: unknown) => statusOf(error) !== Status.Unimplemented,
  );
}
