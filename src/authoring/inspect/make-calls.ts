import { KeyManagerDefinition as AgentKeyManagerDefinition } from '../../gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { NodeAttestorDefinition as AgentNodeAttestorDefinition } from '../../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import { WorkloadAttestorDefinition } from '../../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { KeyManagerDefinition as ServerKeyManagerDefinition } from '../../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import type { PluginKind } from '../trial/offered-kinds.ts';

const DEADLINE_MS = 30_000;

/**
 * Calls that change nothing, of the kinds that have such: the keys that there are, the attestation of this process, the
 * first message of a node.
 *
 * @returns what they answered with: undefined each, or the error
 */
export async function makeHarmlessCalls(
  connection: PluginConnection,
  kinds: readonly PluginKind[],
): Promise<readonly unknown[]> {
  const answers: unknown[] = [];
  for (const kind of kinds) {
    answers.push(
      await makeCall(connection, kind).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
  }
  return answers;
}

async function makeCall(connection: PluginConnection, { side, type }: PluginKind): Promise<unknown> {
  const options = { deadlineMs: DEADLINE_MS };
  switch (`${side} ${type}`) {
    case 'server KeyManager':
      return await connection.client(ServerKeyManagerDefinition).getPublicKeys({}, options);
    case 'agent KeyManager':
      return await connection.client(AgentKeyManagerDefinition).getPublicKeys({}, options);
    case 'agent WorkloadAttestor':
      return await connection.client(WorkloadAttestorDefinition).attest({ pid: process.pid }, options);
    case 'agent NodeAttestor': {
      await using call = connection.client(AgentNodeAttestorDefinition).aidAttestation(options);
      return await call.receive();
    }
    default:
      return undefined;
  }
}
