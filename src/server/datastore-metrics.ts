import type { Datastore, Repositories } from '../datastore/datastore.ts';
import { type CallEnded, observed } from '../rpc/call-observer.ts';
import { callMeter } from '../telemetry/call-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { snakeCase } from '../telemetry/rpc-key.ts';
import type { Tracing } from '../tracing/tracing.ts';

/** SPIRE's word for each aggregate, and for what is done to it. A method without one has its own name. */
const KEYS: { readonly [Aggregate in keyof Repositories]: { readonly name: string; readonly methods: Methods } } = {
  entries: {
    name: 'registration_entry',
    methods: {
      createMany: 'create',
      get: 'fetch',
      find: 'fetch',
      findMany: 'fetch',
      findSimilar: 'fetch',
      deleteMany: 'delete',
      listIds: 'list',
      pruneExpired: 'prune',
      deleteFederated: 'delete',
      dissociate: 'update',
      latestEvent: 'event.fetch',
      eventsAfter: 'event.list',
      pruneEvents: 'event.prune',
    },
  },
  agents: {
    name: 'node',
    methods: {
      get: 'fetch',
      find: 'fetch',
      findMany: 'fetch',
      useRenewed: 'update',
      renew: 'update',
      ban: 'update',
      recordSeen: 'update',
      setSelectors: 'selectors.set',
      latestEvent: 'event.fetch',
      eventsAfter: 'event.list',
      pruneEvents: 'event.prune',
    },
  },
  joinTokens: { name: 'join_token', methods: { find: 'fetch', consume: 'delete', pruneExpired: 'prune' } },
  bundles: { name: 'bundle', methods: { get: 'fetch', find: 'fetch' } },
  caJournal: { name: 'ca_journal', methods: { find: 'fetch', findByActiveX509Authority: 'fetch' } },
  federationRelationships: { name: 'federation_relationship', methods: { get: 'fetch', find: 'fetch' } },
  attempts: { name: 'attestation_attempt', methods: {} },
  entrySets: { name: 'entry_set', methods: {} },
  verdicts: { name: 'agent_verdict', methods: {} },
};

type Methods = Readonly<Record<string, string>>;
type Aggregate = keyof Repositories;
type Method = (...parameters: never[]) => Promise<unknown>;

/** Counts, times and follows every call of a datastore's repositories: inventory M009 to M043. */
export function measuredDatastore(datastore: Datastore, metrics: Metrics, tracing: Tracing | undefined): Datastore {
  const meters = new Map<string, CallEnded>();
  const meterOf = (key: string): CallEnded => {
    const meter = meters.get(key) ?? callMeter(metrics, key.split('.'));
    meters.set(key, meter);
    return meter;
  };
  const measuredCall = (aggregate: Aggregate, repository: object, name: string, method: Method): Method => {
    const key = datastoreKey(aggregate, name);
    const ended = meterOf(key);
    return async (...parameters) => {
      const call = () => method.apply(repository, parameters);
      return await observed(ended, tracing === undefined ? call : () => tracing.step(key, call));
    };
  };
  const measuredRepository = <Repository extends object>(aggregate: Aggregate, repository: Repository): Repository => {
    const methods = new Map<string | symbol, unknown>();
    return new Proxy(repository, {
      get(target, name) {
        if (methods.has(name)) return methods.get(name);
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || typeof name === 'symbol') return value;
        const method = measuredCall(aggregate, target, name, value as Method); // repositories have no other methods
        methods.set(name, method);
        return method;
      },
    });
  };
  const measuredRepositories = (repositories: Repositories): Repositories => ({
    entries: measuredRepository('entries', repositories.entries),
    agents: measuredRepository('agents', repositories.agents),
    joinTokens: measuredRepository('joinTokens', repositories.joinTokens),
    bundles: measuredRepository('bundles', repositories.bundles),
    caJournal: measuredRepository('caJournal', repositories.caJournal),
    federationRelationships: measuredRepository('federationRelationships', repositories.federationRelationships),
    attempts: measuredRepository('attempts', repositories.attempts),
    entrySets: measuredRepository('entrySets', repositories.entrySets),
    verdicts: measuredRepository('verdicts', repositories.verdicts),
  });
  const own: Partial<Datastore> = {
    ...measuredRepositories(datastore),
    transaction: async (work) => await datastore.transaction((step) => work(measuredRepositories(step))),
  };
  return new Proxy(datastore, {
    get(target, name) {
      if (Object.hasOwn(own, name)) return Reflect.get(own, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** `datastore.registration_entry.create`; events are an aggregate of their own, `datastore.node_event.list`. */
export function datastoreKey(aggregate: Aggregate, method: string): string {
  const { name, methods } = KEYS[aggregate];
  const word = Object.hasOwn(methods, method) ? (methods[method] ?? method) : snakeCase(method);
  return word.startsWith('event.') ? `datastore.${name}_${word}` : `datastore.${name}.${word}`;
}
