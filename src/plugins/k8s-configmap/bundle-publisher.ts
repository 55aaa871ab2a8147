import {
  type Bundle,
  defineBundlePublisher,
  messageOf,
  type PluginContext,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import { applyConfigMap } from './apply-config-map.ts';
import { configMapConfig } from './config.ts';
import { formatBundle } from './format-bundle.ts';
import { type ConfigMapState, openState, type Target } from './targets.ts';

/** Keeps the server's trust bundle in ConfigMaps, of one cluster or several. */
export const configMapBundlePublisher = defineBundlePublisher({
  name: 'k8s_configmap',
  config: configMapConfig,
  configure: openState,
  async publishBundle(bundle, state, context) {
    const outcomes = await Promise.all(state.targets.map((target) => publishTo(target, bundle, state, context)));
    const failures = outcomes.filter((failure) => failure !== undefined);
    if (failures.length > 0) throw new SpiffeError('UNAVAILABLE', failures.join('; '));
  },
});

/** What is published already is left out. @returns what went wrong; the other ConfigMaps do not wait for this one */
async function publishTo(
  target: Target,
  bundle: Bundle,
  { published }: ConfigMapState,
  { log, signal }: PluginContext,
): Promise<string | undefined> {
  const { ids, namespace, name, entries } = target;
  try {
    const data = Object.fromEntries(entries.map((entry) => [entry.configmap_key, formatBundle(bundle, entry)]));
    const text = JSON.stringify(data);
    if (published.get(target) === text) return undefined;
    published.delete(target); // what fails may have been done all the same
    await applyConfigMap(target, data, signal);
    published.set(target, text);
    log.info('the bundle was published to a ConfigMap', { cluster: ids.join(', '), namespace, configmap: name });
    return undefined;
  } catch (error) {
    return `cluster "${ids.join('", "')}", ConfigMap "${namespace}/${name}": ${messageOf(error)}`;
  }
}
