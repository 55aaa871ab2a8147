import { resolve } from 'node:path';
import { readPluginData } from '../../plugin-host/configure.ts';
import { HostServiceServer } from '../../plugin-host/host-service-server.ts';
import type { PluginSide, PluginType } from '../../rpc/go-plugin.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { startWithAnyCookie } from '../trial/find-cookie.ts';
import { kindsOf, type PluginKind, requireKinds } from '../trial/offered-kinds.ts';
import { KitHostServices } from './host-services.ts';
import { rulesFor } from './kit.ts';
import type { ConformanceReport, RuleResult, Verdict } from './report.ts';
import { runRules } from './run-rules.ts';
import { Subject, type SubjectOptions } from './subject.ts';

/** One program that is a plugin. */
export interface PluginCommand {
  /** A path, also a relative one; the search path is not looked at. */
  readonly command: string;
  readonly args: readonly string[];
  /** A file with what `plugin_data` would have; absent, the plugin gets an empty text. */
  readonly configFile?: string | undefined;
}

export interface TestPluginOptions extends PluginCommand {
  /** Found by what the plugin says of itself, where it is one kind only. */
  readonly type?: PluginType | undefined;
  readonly side?: PluginSide | undefined;
  /** The other half of a node attestor. */
  readonly peer?: PluginCommand | undefined;
  readonly trustDomain: TrustDomain;
  /** What the plugin is called in the configuration. */
  readonly name?: string | undefined;
  /** Where an SVID store puts its SVIDs. */
  readonly metadata?: readonly string[];
  readonly handshakeDeadlineMs?: number;
  /** Identifiers of the rules to be tried; all of them without it. */
  readonly only?: readonly string[];
  readonly onResult?: (result: RuleResult) => void;
}

const HANDSHAKE_MS = 10_000;
const INIT_MS = 10_000;
const DEFAULT_METADATA = ['name:assayer-conformance'];

/**
 * Tries a plugin against the wire contract, rule by rule. What is wrong with the plugin is in the answer.
 *
 * @throws SpiffeError where the kit cannot tell what to try: `ARGUMENT_INVALID`, `FILE_UNUSABLE`, `PLUGIN_NOT_LOADED`
 */
export async function testPlugin(options: TestPluginOptions): Promise<ConformanceReport> {
  const own = await toCommand(options);
  const kind = await findKind(own, options);
  const { peer, only, onResult } = options;
  if (peer !== undefined && kind.type !== 'NodeAttestor') {
    throw new SpiffeError('ARGUMENT_INVALID', `a ${kind.type} has no other half: leave out -peer`);
  }
  const rules = rulesFor(kind).filter(({ id }) => only === undefined || only.includes(id));
  const unknown = only?.find((id) => !rules.some((rule) => rule.id === id));
  if (unknown !== undefined) {
    throw new SpiffeError('ARGUMENT_INVALID', `${JSON.stringify(unknown)} is no rule for a ${kind.type}`);
  }
  const otherHalf: PluginKind = { type: kind.type, side: kind.side === 'server' ? 'agent' : 'server' };
  const peerSubject = peer && new Subject({ ...(await toCommand(peer)), ...common(options), kind: otherHalf });
  await using subject = new Subject({ ...own, ...common(options), kind }, peerSubject);
  const results = await runRules(rules, subject, onResult);
  return { command: own.command, args: own.args, kind, results, counts: count(results) };
}

type OwnCommand = Pick<SubjectOptions, 'command' | 'args' | 'configText'>;

async function toCommand({ command, args, configFile }: PluginCommand): Promise<OwnCommand> {
  const configText = configFile === undefined ? '' : await readPluginData({ file: configFile });
  return { command: resolve(command), args, configText };
}

function common(options: TestPluginOptions) {
  const { trustDomain, name, metadata = DEFAULT_METADATA, handshakeDeadlineMs = HANDSHAKE_MS } = options;
  return { trustDomain, name, metadata, handshakeDeadlineMs };
}

/** As it was given, or as the plugin says. */
async function findKind(own: OwnCommand, options: TestPluginOptions): Promise<PluginKind> {
  const { type, side, trustDomain } = options;
  if (type !== undefined && side !== undefined) return { type, side };
  const { handshakeDeadlineMs = HANDSHAKE_MS } = options;
  const { command, args } = own;
  await using trial = await startWithAnyCookie({ command, args, handshakeDeadlineMs });
  using connection = await trial.connect(undefined, INIT_MS);
  const host = new KitHostServices('server', trustDomain);
  const { folder, log } = trial;
  const path = folder.join('host');
  await using _server = await HostServiceServer.listen({ path, services: host.services, autoMtls: undefined, log });
  await connection.offerHostServices(path);
  const services = await connection.init(host.names, { deadlineMs: INIT_MS });
  requireKinds(services, side);
  const kinds = kindsOf(services).filter(
    (kind) => (side === undefined || kind.side === side) && (type === undefined || kind.type === type),
  );
  const [found, ...others] = kinds;
  if (found !== undefined && others.length === 0) return found;
  const offered = kindsOf(services).map((kind) => `${kind.type} of the ${kind.side}`);
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    `the plugin is ${offered.join(' and ')}: say by -kind and -side which of them is to be tried`,
  );
}

function count(results: readonly RuleResult[]): Readonly<Record<Verdict, number>> {
  const counts = { PASS: 0, FAIL: 0, WARN: 0, SKIP: 0 };
  for (const { verdict } of results) counts[verdict]++;
  return counts;
}
