import { defineAgentNodeAttestor, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import { parseToken } from '../kubernetes/credential-text.ts';
import { psatAgentConfig } from './agent-config.ts';
import { encodePayload, MAX_PAYLOAD_BYTES } from './payload.ts';

/** The half in the pod: hands its token to the server. The kubelet replaces the token, so it is read each time. */
export const psatAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'k8s_psat',
  config: psatAgentConfig,
  configure: (config) => config,
  async *aidAttestation({ cluster, token_path: path }) {
    const text = (await readCapped('token_path', path)).toString('latin1');
    const payload = encodePayload({ cluster, token: parseToken(`token_path: "${path}"`, text) });
    if (payload.length > MAX_PAYLOAD_BYTES) {
      throw new SpiffeError('CONFIG_INVALID', `token_path: the token in "${path}" is larger than any of Kubernetes is`);
    }
    yield payload;
  },
});
