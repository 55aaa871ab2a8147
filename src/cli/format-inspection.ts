import type { Inspection } from '../authoring/inspect/index.ts';
import { formatMemory } from './list-plugins.ts';
import { formatField } from './output.ts';

const WIDTH = 18;

/** What was found out about a plugin, one field a line; what is wrong comes last. */
export function formatInspection(inspection: Inspection): string {
  const { command, args, kinds, services, handshake, handshakeMs, readyMs, memoryBytes } = inspection;
  const { configured, optional, autoMtls, problems, warnings, loadable } = inspection;
  const rows: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Command', [command, ...args].join(' ')],
    ['Kind', kinds.length === 0 ? undefined : kinds.map(({ side, type }) => `${type} of the ${side}`).join(', ')],
    ['Services', services.length === 0 ? undefined : services.join(', ')],
    ['Protocol', handshake && formatHandshake(handshake)],
    ['Handshake after', handshakeMs === undefined ? undefined : `${handshakeMs} ms`],
    ['Ready after', readyMs === undefined ? undefined : `${readyMs} ms`],
    ['Memory', memoryBytes === undefined ? undefined : formatMemory(memoryBytes)],
    ['Configure', kinds.length === 0 ? undefined : formatConfigured(configured)],
    ...Object.entries(optional).map(([name, isThere]) => [`Has ${name}`, isThere ? 'yes' : 'no'] as const),
    ['AutoMTLS', autoMtls && (autoMtls.works ? 'works' : `does not work: ${autoMtls.reason}`)],
    ...warnings.map(({ step, message }) => ['Warning', `${step}: ${message}`] as const),
    ...problems.map(({ step, message }) => ['Problem', `${step}: ${message}`] as const),
    ['Can be loaded', loadable ? 'yes' : 'no'],
  ];
  return rows.map(([name, value]) => (value === undefined ? '' : formatField(name, value, WIDTH))).join('');
}

function formatHandshake({
  coreVersion,
  protocolVersion,
  network,
  protocol,
}: NonNullable<Inspection['handshake']>): string {
  return `${protocol} over ${network}, go-plugin ${coreVersion}, plugin protocol ${protocolVersion}`;
}

function formatConfigured(configured: boolean | undefined): string {
  if (configured === undefined) return 'not asked: -config FILE does';
  return configured ? 'taken' : 'refused';
}
