import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { messageOf, SpiffeError } from '../../../spiffe/error.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import type { SwtpmOptions } from '../../../testing/index.ts';
import { MAX_EVENT_LOG_BYTES } from '../../../tpm/event-log/parse-event-log.ts';
import { MAX_IMA_LOG_BYTES } from '../../../tpm/ima/parse-ima-log.ts';
import { defineCommand } from '../../command.ts';
import { ExitCode } from '../../exit-code.ts';
import { commaSeparated, text, toggle } from '../../flag-kinds.ts';
import { formatSimulation, toSimulationJson } from '../../format-simulation.ts';
import { outputFlag } from '../../output.ts';
import { readInputBytes } from '../../read-input-file.ts';
import { type SimulatedMachine, simulateMachine } from '../../simulated-machine.ts';
import { DEVICE_VARIABLE } from '../../tpm-device-flag.ts';

const EKS = ['rsa-2048', 'ec-p256', 'ec-p384'] as const;
const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const PARENT_POLL_MS = 500;

export const tpmSimulate = defineCommand({
  summary:
    'Run a software TPM with endorsement certificates, and configurations for a server and an agent, until it is interrupted',
  flags: {
    output: outputFlag,
    ek: commaSeparated(
      'Endorsement keys that get a certificate: rsa-2048, ec-p256, ec-p384; rsa-2048 by default',
      'KEYS',
    ),
    pcrBanks: commaSeparated('PCR banks: those of the event log by default, sha256 without one', 'BANKS'),
    eventLog: text('Event log of a machine: the PCRs become what was measured there', 'FILE'),
    imaLog: text('IMA log of a machine, measured after that', 'FILE'),
    imaPaddedBanks: commaSeparated(
      'Banks whose hash the kernel of that machine lacks: it extends SHA-1 with zeros',
      'BANKS',
    ),
    trustDomain: text('Trust domain of the configurations', 'NAME', 'example.org'),
    keep: toggle('Go on where whoever started this has ended'),
  },
  operands: '[COMMAND [ARGUMENT…]]',
  run: async ({ output, ek, eventLog, imaLog, pcrBanks, imaPaddedBanks, trustDomain, keep }, terminal, command) => {
    const options: SwtpmOptions = {
      ...(ek.length > 0 && { ek: oneOfEach('ek', ek, EKS) }),
      ...(pcrBanks.length > 0 && { pcrBanks: oneOfEach('pcrBanks', pcrBanks, BANKS).join(',') }),
      ...(eventLog !== '' && { eventLog: await readInputBytes(eventLog, MAX_EVENT_LOG_BYTES) }),
      ...(imaLog !== '' && { imaLog: await readInputBytes(imaLog, MAX_IMA_LOG_BYTES) }),
      imaPaddedBanks: oneOfEach('imaPaddedBanks', imaPaddedBanks, BANKS),
    };
    const domain = parseTrustDomain(trustDomain);
    const stop = stopSignal(keep);
    await using machine = await simulateMachine(options, domain, stop);
    const text = output === 'json' ? toSimulationJson(machine) : formatSimulation(machine, command.length === 0);
    const [program, ...args] = command;
    if (program === undefined) {
      terminal.print(text);
      if (!stop.aborted) await once(stop, 'abort');
      return;
    }
    terminal.printError(text); // standard output is the command's
    const code = await runIn(machine, program, args, stop);
    if (code !== 0) throw new ExitCode(code);
  },
});

function oneOfEach<const Word extends string>(flag: string, given: readonly string[], words: readonly Word[]): Word[] {
  return given.map((text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new SpiffeError('ARGUMENT_INVALID', `-${flag}: ${JSON.stringify(text)} is none of ${words.join(', ')}`);
  });
}

/** Aborted when this is told to stop, and when whoever started it has ended. */
function stopSignal(keep: boolean): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  const parent = process.ppid;
  const look = () => {
    if (process.ppid !== parent) stop.abort();
  };
  if (!keep) setInterval(look, PARENT_POLL_MS).unref();
  return stop.signal;
}

/** Runs a command that finds the TPM in its environment. @returns its exit code, as a shell has it */
async function runIn(
  { tpm, ekHash, serverConfig, agentConfig }: SimulatedMachine,
  program: string,
  args: readonly string[],
  stop: AbortSignal,
): Promise<number> {
  const env = {
    ...process.env,
    [DEVICE_VARIABLE]: tpm.tcti,
    TPM2TOOLS_TCTI: tpm.tcti,
    ASSAYER_TPM_CA_PATH: tpm.caPath,
    ASSAYER_TPM_EK_HASH: ekHash,
    ASSAYER_TPM_SERVER_CONFIG: serverConfig,
    ASSAYER_TPM_AGENT_CONFIG: agentConfig,
  };
  const child = spawn(program, args, { stdio: 'inherit', env });
  const end = () => child.kill('SIGTERM');
  stop.addEventListener('abort', end);
  if (stop.aborted) end();
  try {
    await once(child, 'exit');
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', `cannot run ${JSON.stringify(program)}: ${messageOf(cause)}`, { cause });
  } finally {
    stop.removeEventListener('abort', end);
  }
  return child.exitCode ?? 128 + constants.signals[child.signalCode ?? 'SIGTERM'];
}
