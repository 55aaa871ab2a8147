import { Slots } from '../../src/plugins/tpm/slots.ts';
import { GuestAgent, type GuestAgentOptions } from './guest-agent.ts';
import { Machine, type MachineOptions } from './machine.ts';
import { RecordedBoot } from './recorded-boot.ts';

/** What came of a machine that booted, attested or tried to, and was switched off. */
export interface Visit {
  readonly hasAttested: boolean;
  readonly agentLog: string;
  readonly boot: RecordedBoot;
  /** What a workload within got, or why it got nothing, where the agent had attested. */
  readonly workload: string | undefined;
}

/** Programs that start in two machines at once take so long that their agents give up on plugins. */
const turns = new Slots(1);

async function startInTurn(machine: Machine, options: GuestAgentOptions): Promise<GuestAgent> {
  using _turn = await turns.take(undefined);
  return await GuestAgent.start(machine, options);
}

/** Boots, lets the agent attest, lets a workload ask for its identity, looks at the logs, and powers off. */
export async function visit(machineOptions: MachineOptions, agentOptions: GuestAgentOptions): Promise<Visit> {
  await using machine = await Machine.boot(machineOptions);
  const agent = await startInTurn(machine, agentOptions);
  const hasAttested = await agent.hasAttested();
  const agentLog = await agent.log();
  machine.report(hasAttested ? 'has attested' : `has not attested: ${agentLog.trimEnd().split('\n').at(-1)}`);
  const workload = hasAttested ? await agent.fetchX509() : undefined;
  const boot = await RecordedBoot.of(machine);
  await machine.powerOff();
  machine.report('is off');
  return { hasAttested, agentLog, boot, workload };
}
