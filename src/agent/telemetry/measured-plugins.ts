import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import type { WorkloadAttestor } from '../../plugin-host/kinds/workload-attestor.ts';
import { observed } from '../../rpc/call-observer.ts';
import { callMeter } from '../../telemetry/call-metrics.ts';
import type { Metrics } from '../../telemetry/metrics.ts';

/** The key manager, its calls counted and timed. Inventory M063, M064: a key that it made it keeps, so that M065 is never. */
export function measuredKeyManager(keyManager: KeyManager, metrics: Metrics): KeyManager {
  const generated = callMeter(metrics, ['agent_key_manager', 'generate_key_pair']);
  const fetched = callMeter(metrics, ['agent_key_manager', 'fetch_private_key']);
  return {
    name: keyManager.name,
    generateKey: (id, type) => observed(generated, () => keyManager.generateKey(id, type)),
    findKey: (id) => observed(fetched, () => keyManager.findKey(id)),
    getKeys: () => keyManager.getKeys(),
  };
}

/** Workload attestors, each call counted and timed by their names. Inventory M090. */
export function measuredAttestors(
  attestors: readonly WorkloadAttestor[],
  metrics: Metrics,
): readonly WorkloadAttestor[] {
  return attestors.map((attestor) => {
    const { name } = attestor;
    const asked = callMeter(metrics, ['workload_api', 'workload_attestor'], [{ name: 'attestor', value: name }]);
    return {
      name,
      attest: (pid, signal) => observed(asked, () => attestor.attest(pid, signal)),
      attestReference: (reference, options) => observed(asked, () => attestor.attestReference(reference, options)),
    };
  });
}
