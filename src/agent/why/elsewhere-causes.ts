import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { time } from './agent-causes.ts';
import type { Finding, ShowSelector } from './finding.ts';
import type { WorkloadFacts } from './workload-facts.ts';

/** More are not written into a command. */
const MAX_SELECTORS = 20;

/** What only the server knows of: entries that are not under this agent, or that it has not heard of. */
export function elsewhereCauses(facts: WorkloadFacts, show: ShowSelector): readonly Finding[] {
  const { counts, agent, entries } = facts;
  if (agent.id === undefined || entries.some(({ matches }) => matches)) return [];
  const [alias] = agent.aliases;
  const parent = `this agent is ${agent.id}${alias === undefined ? '' : ` and, by its join token, ${alias}`}`;
  const setParent = `set -parentID to ${alias === undefined ? 'that' : 'the latter'} with "assayer server entry update"`;
  const explain = `on the server, ${explainCommand(facts, show)} names what there is`;
  const findings: Finding[] = [];
  const add = (code: Finding['code'], count: number, text: (many: string) => string) => {
    if (count > 0) findings.push({ code, text: text(count === 1 ? '1 entry' : `${count} entries`) });
  };
  add(
    'ENTRY_JUST_CREATED',
    (counts?.notSynced ?? 0) + (counts?.known ?? 0), // what it knows would be among its entries, but for one that came just now
    (many) =>
      `The server has ${many} for this workload that the agent has not been told of yet, as after one was just created: wait a moment and ask again; the last sync was at ${agent.syncedAt === undefined ? 'no time yet' : time(agent.syncedAt)}.`,
  );
  add(
    'WRONG_PARENT_ID',
    counts?.withoutParent ?? 0,
    (many) =>
      `The server has ${many} for this workload whose parent ID nobody has, neither an agent nor an entry for nodes: ${parent}, so ${setParent}, or to the ID that an entry for nodes gives it; ${explain}.`,
  );
  add(
    'ENTRY_OF_OTHER_AGENT',
    counts?.ofOtherAgents ?? 0,
    (many) =>
      `The server has ${many} for this workload under another agent: ${parent}, so ${setParent}, make a second entry, or give both agents one ID by an entry for nodes (-node); ${explain}.`,
  );
  add(
    'NODE_LACKS_SELECTORS',
    counts?.nodeLacksSelectors ?? 0,
    (many) =>
      `The server has ${many} for this workload under an entry for nodes that this agent is not among, since it lacks a selector of it: correct that entry for nodes, or what the node attests; ${explain}.`,
  );
  add(
    'ENTRY_EXPIRED',
    counts?.expired ?? 0,
    (many) =>
      `The server has ${many} for this workload whose time is over: give them a later one with "assayer server entry update -entryExpiry".`,
  );
  const notAsked: readonly Finding[] = facts.isHeldBack
    ? [
        {
          code: 'SERVER_NOT_ASKED',
          text: 'The server was not asked now what it has under other parent IDs, since it is asked for workloads without an identity once a second at most: ask again in some seconds.',
        },
      ]
    : [];
  const isTold = findings.length > 0 || entries.length > 0 || agent.entryCount === undefined;
  if (isTold) return [...findings, ...notAsked];
  return [...notAsked, { code: 'NO_ENTRY', text: `${noEntry(facts)}: ${createCommand(facts, show)}${elsewhere()}.` }];

  /** A server that counts has told that there is none. */
  function elsewhere(): string {
    return counts === undefined ? `; is there one, it is under another parent ID, and ${parent}: ${explain}` : '';
  }
}

function noEntry({ agent: { entryCount = 0 }, counts }: WorkloadFacts): string {
  if (counts !== undefined) return 'The server has no entry for what this workload has';
  if (entryCount === 1) return 'The one entry under this agent asks for what this workload does not have';
  return `None of the ${entryCount} entries under this agent asks for what this workload has`;
}

function createCommand(facts: WorkloadFacts, show: ShowSelector): string {
  const flags = selectorFlags(facts, show);
  const choice = flags === '' ? ' -selector TYPE:VALUE"' : `${flags}", without the selectors that need not be so`;
  const [parentId = facts.agent.id] = facts.agent.aliases; // a new token makes it another agent of the same alias
  return `create one with "assayer server entry create -parentID ${parentId} -spiffeID ID${choice}`;
}

function explainCommand(facts: WorkloadFacts, show: ShowSelector): string {
  const isWhole = facts.selectors.every((selector) => show(selector) === formatSelector(selector));
  if (!isWhole) return '"assayer server entry explain"';
  return `"assayer server entry explain -agent ${facts.agent.id}${selectorFlags(facts, show)}"`;
}

/** Those that may be shown. */
function selectorFlags({ selectors }: WorkloadFacts, show: ShowSelector): string {
  const shown = selectors.filter((selector) => isShort(selector) && show(selector) === formatSelector(selector));
  return shown
    .slice(0, MAX_SELECTORS)
    .map((selector) => ` -selector ${quoted(formatSelector(selector))}`)
    .join('');
}

function isShort({ value }: Selector): boolean {
  return value.length <= 256;
}

/** As one word of a shell. */
function quoted(text: string): string {
  return /^[\w:./@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
