import { formatField } from './output.ts';
import type { SimulatedMachine } from './simulated-machine.ts';

const WIDTH = 12;

/** How to use a simulated TPM. @param isWaiting whether nothing else says how long it runs */
export function formatSimulation(machine: SimulatedMachine, isWaiting: boolean): string {
  const { tpm, ekHash, agentId, serverConfig, agentConfig, serverPlugin, agentPlugin } = machine;
  const fields = [
    ['Device', tpm.tcti],
    ['CA bundle', tpm.caPath],
    ['EK hash', ekHash],
    ['Agent ID', agentId],
    ['Server', `assayer server run -config ${serverConfig}`],
    ['Agent', `assayer agent run -config ${agentConfig}`],
    ['tpm2-tools', `export TPM2TOOLS_TCTI=${tpm.tcti}`],
  ] as const;
  return [
    ...fields.map(([name, value]) => formatField(name, value, WIDTH)),
    `\nFor a server of your own:\n\n${serverPlugin}\nFor an agent of your own:\n\n${agentPlugin}`,
    ...(isWaiting ? ['\nAll of this is gone when this command ends: interrupt it with Ctrl-C.\n'] : []),
  ].join('');
}

/** The same for programs. */
export function toSimulationJson(machine: SimulatedMachine): string {
  const { tpm, ekHash, agentId, serverConfig, agentConfig, serverPlugin, agentPlugin } = machine;
  const json = {
    device: tpm.tcti,
    caPath: tpm.caPath,
    ekHash,
    agentId,
    folder: tpm.folder,
    pid: tpm.pid,
    serverConfig,
    agentConfig,
    serverPlugin,
    agentPlugin,
  };
  return `${JSON.stringify(json)}\n`;
}
