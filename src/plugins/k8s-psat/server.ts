import { defineServerNodeAttestor } from '../../plugin-sdk/index.ts';
import { attestPsat } from './attest.ts';
import { psatServerConfig } from './server-config.ts';
import { openServerState } from './server-state.ts';

/** The half that asks the cluster's API server whose the token is. */
export const psatServerNodeAttestor = defineServerNodeAttestor({
  name: 'k8s_psat',
  config: psatServerConfig,
  configure: openServerState,
  async *attest(payload, state, context) {
    yield* []; // the token is all that a pod has to show
    return await attestPsat(payload, state, context);
  },
});
