import type { Finding } from './finding.ts';
import type { WorkloadFacts } from './workload-facts.ts';

/** What is wrong with the agent itself, or between it and its server. */
export function agentCauses({ agent, now }: WorkloadFacts): readonly Finding[] {
  const { id, svidExpiresAt, syncedAt, failure, mustReattest, entryCount } = agent;
  const findings: Finding[] = [];
  const said = failure === undefined ? '' : ` The last attempt, at ${time(failure.at)}, failed: ${failure.reason}.`;
  if (id === undefined) {
    return [
      {
        code: 'AGENT_NOT_ATTESTED',
        text: "The agent has not attested to its server yet, so there is nothing it could give: see its log for what it waits for, and that server_address, server_port and the trust bundle are the server's.",
      },
    ];
  }
  if (svidExpiresAt !== undefined && svidExpiresAt <= now) {
    findings.push({
      code: 'AGENT_EXPIRED',
      text: `The agent's own X.509-SVID expired at ${time(svidExpiresAt)}, so the server takes no call of it: it has to attest again, which it tries by itself; an agent that joined by a token needs a new one, of "assayer server token generate".${said}`,
    });
  } else if (mustReattest !== undefined) {
    findings.push({
      code: 'AGENT_MUST_REATTEST',
      text: `The agent ${id} has to attest again, ${mustReattest}: see its log.${said}`,
    });
  }
  if (failure !== undefined) {
    const since = syncedAt === undefined ? 'since it started' : `since ${time(syncedAt)}`;
    const what = `The agent has had no answer from its server ${since}, and what was changed there after that is not known here.`;
    findings.push(
      failure.isUnreachable
        ? {
            code: 'SERVER_AWAY',
            text: `${what} Workloads keep what they have until it expires. The last attempt, at ${time(failure.at)}, failed: ${failure.reason}.`,
          }
        : { code: 'SYNC_FAILED', text: `${what} The last attempt, at ${time(failure.at)}, failed: ${failure.reason}.` },
    );
  } else if (entryCount === undefined) {
    findings.push({
      code: 'NOT_SYNCED_YET',
      text: 'The agent has attested and not yet had the first answer from its server: wait a moment and ask again.',
    });
  }
  return findings;
}

export function time(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
