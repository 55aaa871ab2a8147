import type { Agent, Attestor, Entry, ExplainWorkloadResponse, Workload } from '../gen/assayer/agent/why/v1/why.ts';
import { formatSelector } from '../spiffe/selector.ts';
import { formatCount, formatField, formatTime, onOneLine } from './output.ts';

type Row = readonly [name: string, value: unknown];

const WIDTH = 18;

/** What follows first, then what it follows from: the process, its attestors, the agent, and each entry. */
export function formatWhy(answer: ExplainWorkloadResponse, now: Date): string {
  const { findings, workload, attestors, agent, entries, entriesLeftOut, lastRefusal } = answer;
  const refused: readonly Row[] =
    lastRefusal === undefined
      ? []
      : [
          [
            'Last refused',
            `${lastRefusal.method} at ${formatTime(lastRefusal.at)}${lastRefusal.spiffeId === '' ? '' : `, which asked for ${lastRefusal.spiffeId}`}`,
          ],
        ];
  const matching = entries.filter(({ matches }) => matches).length;
  const others = entries.length - matching + entriesLeftOut;
  const nearly = others === 0 ? '' : `, ${formatCount(others, 'other', 'others')} nearly`;
  return [
    ...findings.map(({ text }) => `${onOneLine(text)}\n`),
    '\n',
    format([
      ...(workload === undefined ? [] : workloadRows(workload)),
      ...attestors.map(attestorRow),
      ...refused,
      ...(agent === undefined ? [] : agentRows(agent, now)),
    ]),
    `\n${formatCount(matching, 'entry matches', 'entries match')}${nearly}\n`,
    ...entries.map((entry) => `\n${format(entryRows(entry))}`),
    ...(entriesLeftOut > 0 ? [`\n${formatCount(entriesLeftOut, 'more is', 'more are')} not shown\n`] : []),
  ].join('');
}

function workloadRows({ pid, uid, gid, path, selectors }: Workload): readonly Row[] {
  return [
    ['Process', `${pid}, of user ${uid} and group ${gid}`],
    ...(path === '' ? [] : [['Runs', path] as const]),
    ...selectors.map((selector) => ['Selector', formatSelector(selector)] as const),
  ];
}

function attestorRow({ name, selectors, error, answeredAt, tookMs }: Attestor): Row {
  const when = `at ${formatTime(answeredAt)} after ${Math.round(tookMs)} ms`;
  const what = error === '' ? formatCount(selectors.length, 'selector', 'selectors') : 'failed';
  return ['Attestor', `${name}: ${what} ${when}${error === '' ? '' : `: ${error}`}`];
}

function agentRows(agent: Agent, now: Date): readonly Row[] {
  const ago = (seconds: bigint) =>
    `${formatTime(seconds)}, ${Math.floor(now.getTime() / 1000) - Number(seconds)} s ago`;
  return [
    ['Agent', agent.id === '' ? `of ${agent.trustDomain}, not attested yet` : agent.id],
    ...(agent.expiresAt === 0n ? [] : [['Agent expires at', formatTime(agent.expiresAt)] as const]),
    ...(agent.mustReattest === '' ? [] : [['Has to attest', agent.mustReattest] as const]),
    ['Entries', agent.entries],
    ['Last sync', agent.syncedAt === 0n ? 'not since the agent started' : ago(agent.syncedAt)],
    ...(agent.syncingSince === 0n ? [] : [['Syncing since', ago(agent.syncingSince)] as const]),
    ...(agent.nextSyncAt === 0n ? [] : [['Next sync', formatTime(agent.nextSyncAt)] as const]),
    ...(agent.serverError === ''
      ? []
      : [
          ['Server said', `${agent.serverError} (at ${formatTime(agent.serverErrorAt)})`] as const,
          ['Failing since', ago(agent.failingSince)] as const,
        ]),
  ];
}

function entryRows({ id, spiffeId, selectors, matches, missing, svid, expiresAt }: Entry): readonly Row[] {
  return [
    ['Entry ID', id],
    ['SPIFFE ID', spiffeId],
    ...selectors.map((selector) => ['Selector', formatSelector(selector)] as const),
    ...(expiresAt === 0n ? [] : [['Expires at', formatTime(expiresAt)] as const]),
    ['Matches', matches ? 'yes' : 'no'],
    ...missing.map((selector) => ['Lacks', formatSelector(selector)] as const),
    ...(svid === undefined
      ? []
      : ([
          [
            'X.509-SVID',
            svid.expiresAt > 0n
              ? `valid until ${formatTime(svid.expiresAt)}`
              : svid.signingSince > 0n
                ? `asked for at ${formatTime(svid.signingSince)}`
                : 'none',
          ],
          ...(svid.refusal === ''
            ? []
            : [['Not signed', `${svid.refusal} (at ${formatTime(svid.refusedAt)})`] as const]),
        ] as const)),
  ];
}

function format(rows: readonly Row[]): string {
  return rows.map(([name, value]) => formatField(name, value, WIDTH)).join('');
}
